"""An erased account is gone: from the database, from its dumps, and from restored backups."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import grpc
import pytest

from memory_svc.domain.tiers import Tier
from memory_svc.erasure.ledger import Ledger
from memory_svc.store import erasure as store
from memory_svc.store.tiers import episodes
from runtime.errors import SwitchboardError, from_rpc
from switchboard.v3 import accounts_pb2
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import PASSWORD, Running, memory_service
from tests.support.postgres import Postgres, tool

TABLES = (*store.TABLES, "users", "refresh_tokens")


@pytest.fixture
async def memory(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        EmbeddingServer() as provider,
        memory_service(database_url, tmp_path, openai_base_url=provider.url) as running,
    ):
        yield running


async def erase(memory: Running, user: UUID) -> None:
    await memory.accounts.Delete(
        accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
    )


async def refused(call: object) -> SwitchboardError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return from_rpc(caught.value)


async def fill(memory: Running, user: UUID, canaries: list[str]) -> None:
    for number, word in enumerate(canaries):
        if number % 10 == 0:
            request = pb.UpdateCoreRequest(user_id=str(user), key=f"k{number}", value=word)
            await memory.stub.UpdateCore(request)
        else:
            await memory.say(user, f"The {word} is in box {number}.", response=f"So {word}.")
    await memory.settled()


def dump(url: str) -> str:
    """What pg_dump writes of the database."""
    parts = urlsplit(url)
    command = [
        *(str(tool("pg_dump")), "-h", parse_qs(parts.query)["host"][0], "-U", "postgres"),
        *("-d", parts.path.lstrip("/")),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def restore(url: str, text: str) -> None:
    parts = urlsplit(url)
    command = [
        *(str(tool("psql")), "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres"),
        *("-h", parse_qs(parts.query)["host"][0], "-d", parts.path.lstrip("/")),
    ]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_dump_holds_no_word_that_was_said(memory: Running, database_url: str) -> None:
    user = await memory.user()
    canaries = [f"canary{uuid4().hex[:10]}" for _ in range(30)]
    await fill(memory, user, canaries)
    written = await asyncio.to_thread(dump, database_url)
    assert str(user) in written
    assert "gAAAAA" in written
    for word in canaries:
        assert word not in written
        assert word.encode().hex() not in written


async def test_after_an_erasure_nothing_of_the_user_is_left(
    memory: Running, database_url: str
) -> None:
    ann, bob = await memory.user(), await memory.user()
    for user in (ann, bob):
        await fill(memory, user, [f"canary{uuid4().hex[:10]}" for _ in range(20)])
    await erase(memory, ann)
    written = await asyncio.to_thread(dump, database_url)
    assert str(ann) not in written
    assert str(bob) in written
    assert ann not in memory.app.keys
    for call in (
        memory.enrich(ann, "hi"),
        memory.say(ann, "My cat is grey."),
        memory.stub.List(pb.ListRequest(user_id=str(ann))),
    ):
        assert (await refused(call)).code == ErrorCode.ERROR_CODE_NOT_FOUND
    assert (await memory.enrich(bob, "canary")).items


async def test_the_other_processes_drop_the_key_too(
    memory: Running, database_url: str, tmp_path: Path
) -> None:
    masters = ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)
    async with memory_service(database_url, tmp_path, master_keys=masters) as other:
        user = await memory.user()
        async with asyncio.timeout(5):
            while user not in other.app.keys:  # it lets go of all as it begins to listen
                await other.say(user, "My cat is grey.")
        await erase(memory, user)
        async with asyncio.timeout(5):
            while user in other.app.keys:
                await asyncio.sleep(0.01)
        assert (await refused(other.enrich(user, "cat"))).code == ErrorCode.ERROR_CODE_NOT_FOUND


async def test_a_store_that_races_an_erasure_leaves_nothing(memory: Running) -> None:
    for _ in range(5):
        user = await memory.user()
        await memory.say(user, "The first box is red.")

        async def talk(user: UUID = user) -> None:
            for number in range(20):
                await memory.say(user, f"The box {number} is red.")

        talking = [asyncio.create_task(talk()) for _ in range(4)]
        await asyncio.sleep(0)
        await erase(memory, user)
        results = await asyncio.gather(*talking, return_exceptions=True)
        for result in results:
            assert result is None or isinstance(result, grpc.aio.AioRpcError)
        await memory.settled()
        for table in TABLES:
            if table != "refresh_tokens":
                column = "id" if table == "users" else "user_id"
                query = f"SELECT 1 FROM {table} WHERE {column} = $1"
                assert not await memory.fetch(query, user), table


async def waits_for_a_lock(memory: Running) -> bool:
    query = """SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    return bool(await memory.fetch(query))


async def test_a_removal_that_races_an_erasure_leaves_nothing(
    memory: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await memory.user()
    await memory.say(user, "The gate code is 4711. The cat is grey.")
    await memory.settled()
    listed = await memory.stub.List(
        pb.ListRequest(user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE)
    )
    begun, gate = asyncio.Event(), asyncio.Event()
    rewrite = episodes.rewrite

    async def slowly(*given: Any) -> None:
        begun.set()
        await gate.wait()
        await rewrite(*given)

    monkeypatch.setattr(episodes, "rewrite", slowly)
    (code,) = [item for item in listed.items if "4711" in item.text]
    removing = asyncio.create_task(memory.app.forgetting.delete(user, Tier.ASSOCIATIVE, code.id))
    async with asyncio.timeout(10):
        await begun.wait()
        erasing = asyncio.create_task(erase(memory, user))
        while not await waits_for_a_lock(memory):
            await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(removing, erasing)
    for table in store.TABLES:
        query = f"SELECT 1 FROM {table} WHERE user_id = $1"
        assert not await memory.fetch(query, user), table


async def test_nothing_is_removed_for_a_user_whose_key_is_gone(memory: Running) -> None:
    user = await memory.user()
    await memory.say(user, "The cat is grey.")
    (fact,) = await memory.fetch("SELECT id FROM memory_associative")
    await memory.fetch("UPDATE users SET encryption_key = NULL RETURNING id")
    request = pb.DeleteRequest(
        user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE, id=str(fact["id"])
    )
    assert (await refused(memory.stub.Delete(request))).code == ErrorCode.ERROR_CODE_NOT_FOUND
    assert len(await memory.fetch("SELECT id FROM memory_associative")) == 1


async def test_a_restored_backup_is_erased_again_at_start(
    postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path) as memory:
        masters = ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)
        ann, bob = await memory.user(), await memory.user()
        for user in (ann, bob):
            await memory.say(user, "My cat is grey.")
        backup = await asyncio.to_thread(dump, database_url)
        await erase(memory, ann)
    with postgres.database("template0") as restored:
        await asyncio.to_thread(restore, restored, backup)
        assert str(ann) in await asyncio.to_thread(dump, restored)
        async with memory_service(restored, tmp_path, master_keys=masters) as memory:
            assert str(ann) not in await asyncio.to_thread(dump, restored)
            assert (await refused(memory.enrich(ann, "hi"))).code == (
                ErrorCode.ERROR_CODE_NOT_FOUND
            )
            assert await memory.facts(bob) == ["My cat is grey."]
            assert await memory.app.erasure.replay() == 0


@pytest.mark.parametrize("step", ["ledger", "rows"])
async def test_an_erasure_that_is_cut_short_is_finished_later(
    memory: Running, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")

    async def dies(*_: object) -> None:
        raise OSError("the machine stops here")

    def cannot(*_: object) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as patch:
        if step == "ledger":
            patch.setattr(Ledger, "add", cannot)
        else:
            patch.setattr(store, "remove", dies)
        # The key goes first: nothing can be read from here on, and the user is told so.
        await memory.accounts.Delete(
            accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
        )
        assert (await refused(memory.enrich(user, "cat"))).code == (ErrorCode.ERROR_CODE_NOT_FOUND)
    assert await memory.app.erasure.finish_begun() == 1
    assert not await memory.fetch("SELECT * FROM users")
    assert not await memory.fetch("SELECT * FROM memory_episodic")
    assert memory.app.settings.erasure_ledger.read_text().count(str(user)) == 1


async def test_without_a_ledger_nobody_is_erased(memory: Running) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    memory.app.settings.erasure_ledger.mkdir()  # a folder stands where the file should
    error = await refused(
        memory.accounts.Delete(
            accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
        )
    )
    assert error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    assert await memory.facts(user) == ["My cat is grey."]
