"""What a user deleted singly stays deleted when an older backup is restored."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.contract.test_account_service import refused
from tests.integration.test_memory_jobs import ask_on, habits, mine, mondays
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import Running, memory_service
from tests.support.postgres import tool

TIERS = {
    "core": pb.MEMORY_TIER_CORE,
    "associative": pb.MEMORY_TIER_ASSOCIATIVE,
    "episodic": pb.MEMORY_TIER_EPISODIC,
    "proactive": pb.MEMORY_TIER_PROACTIVE,
}


class Life:
    """A memory_svc whose database is put back to what it was, over and over."""

    def __init__(self, url: str, folder: Path, provider: str) -> None:
        self._url = url
        self._folder = folder
        self._provider = provider
        self._masters: str | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        known = {"master_keys": self._masters} if self._masters else {}
        given = {"openai_base_url": self._provider, **known}
        async with memory_service(self._url, self._folder, **given) as memory:
            keys = memory.app.settings.master_keys
            self._masters = ",".join(key.get_secret_value() for key in keys)
            yield memory

    def backup(self) -> bytes:
        command = [str(tool("pg_dump")), self._url]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def restore(self, dump: bytes) -> None:
        subprocess.run(
            [str(tool("psql")), "-q", "-v", "ON_ERROR_STOP=1", self._url],
            input=b"DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n" + dump,
            check=True,
            capture_output=True,
        )


@pytest.fixture
async def life(database_url: str, tmp_path: Path) -> AsyncIterator[Life]:
    async with EmbeddingServer() as provider:
        yield Life(database_url, tmp_path, provider.url)


async def listed(memory: Running, user: UUID, tier: str) -> dict[str, str]:
    asked = pb.ListRequest(user_id=str(user), tier=TIERS[tier], limit=200)
    return {item.text: item.id for item in (await memory.stub.List(asked)).items}


async def delete(memory: Running, user: UUID, tier: str, text: str) -> None:
    item = (await listed(memory, user, tier))[text]
    await memory.stub.Delete(pb.DeleteRequest(user_id=str(user), tier=TIERS[tier], id=item))


async def everything(memory: Running, user: UUID) -> str:
    """All that is kept of a user, in the clear."""
    call = memory.stub.Export(pb.ExportRequest(user_id=str(user)))
    return str([str(each) async for each in call])


async def test_a_fact_does_not_come_back_nor_does_what_was_said_of_it(life: Life) -> None:
    async with life.running() as memory:
        user = await memory.user()
        await memory.say(user, "My cat is called Zanzibar. The meeting is on Friday.")
        await memory.settled()
    dump = life.backup()
    async with life.running() as memory:
        (fact,) = [text for text in await memory.facts(user) if "Zanzibar" in text]
        await delete(memory, user, "associative", fact)
        left = await everything(memory, user)
        assert "Zanzibar" not in left
    life.restore(dump)
    async with life.running() as memory:
        assert await everything(memory, user) == left
        assert await memory.app.forgetting.replay() == 0


async def test_rows_that_were_merged_into_a_fact_do_not_come_back_either(life: Life) -> None:
    """The backup is from when what was said twice still stood twice."""
    async with life.running() as memory:
        user = await memory.user()
        await memory.say(user, "My office is in room 12.")
        await memory.settled()
        await memory.say(user, "My office is in the room 12!")
        assert len(await memory.facts(user)) == 2
        dump = life.backup()
        await memory.settled()
        (fact,) = await memory.facts(user)
        await delete(memory, user, "associative", fact)
    ledger = memory.app.settings.erasure_ledger.read_text()
    assert len(ledger.split()) == 5  # item, user, when, and both rows
    assert "room" not in ledger
    life.restore(dump)
    async with life.running() as memory:
        assert await memory.facts(user) == []
        assert "room 12" not in await everything(memory, user)


@pytest.mark.parametrize("by", ["key", "id"])
async def test_a_preference_does_not_come_back(life: Life, by: str) -> None:
    async with life.running() as memory:
        user = await memory.user()
        for key in ("tone", "name"):
            asked = pb.UpdateCoreRequest(user_id=str(user), key=key, value=f"my {key}")
            await memory.stub.UpdateCore(asked)
    dump = life.backup()
    async with life.running() as memory:
        if by == "key":
            await memory.stub.DeleteCore(pb.DeleteCoreRequest(user_id=str(user), key="tone"))
        else:
            await delete(memory, user, "core", "my tone")
        # What is set anew afterwards is another preference, and stays in newer backups.
        asked = pb.UpdateCoreRequest(user_id=str(user), key="tone", value="another")
        await memory.stub.UpdateCore(asked)
    newer = life.backup()
    life.restore(dump)
    async with life.running() as memory:
        assert set(await listed(memory, user, "core")) == {"my name"}
    life.restore(newer)
    async with life.running() as memory:
        assert set(await listed(memory, user, "core")) == {"my name", "another"}


async def test_an_exchange_does_not_come_back(life: Life) -> None:
    async with life.running() as memory:
        user, other = await memory.user(), await memory.user()
        for who in (user, other):
            await memory.say(who, "My cat is grey.")
    dump = life.backup()
    async with life.running() as memory:
        (text,) = await listed(memory, user, "episodic")
        await delete(memory, user, "episodic", text)
    life.restore(dump)
    async with life.running() as memory:
        assert await listed(memory, user, "episodic") == {}
        assert len(await listed(memory, other, "episodic")) == 1


async def test_an_erased_user_s_items_are_no_trouble(life: Life) -> None:
    async with life.running() as memory:
        user = await memory.user()
        await memory.say(user, "My cat is grey.")
        dump = life.backup()
        (text,) = await listed(memory, user, "episodic")
        await delete(memory, user, "episodic", text)
        await memory.app.erasure.erase(user)
    life.restore(dump)
    async with life.running() as memory:
        assert await memory.fetch("SELECT count(*) FROM memory_episodic") == [(0,)]


async def test_without_a_ledger_no_item_is_removed(life: Life) -> None:
    async with life.running() as memory:
        user = await memory.user()
        await memory.say(user, "My cat is grey.")
        asked = pb.UpdateCoreRequest(user_id=str(user), key="tone", value="brief")
        await memory.stub.UpdateCore(asked)
        before = await everything(memory, user)
        memory.app.settings.erasure_ledger.mkdir()  # a folder stands where the file should
        item = next(iter((await listed(memory, user, "episodic")).values()))
        for call in (
            memory.stub.Delete(
                pb.DeleteRequest(user_id=str(user), tier=pb.MEMORY_TIER_EPISODIC, id=item)
            ),
            memory.stub.DeleteCore(pb.DeleteCoreRequest(user_id=str(user), key="tone")),
        ):
            error = await refused(call)
            assert error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
        assert await everything(memory, user) == before


async def test_the_ledger_holds_ids_and_times_only(life: Life) -> None:
    async with life.running() as memory:
        user = await memory.user()
        await memory.say(user, "My cat is called Zanzibar.")
        (fact,) = await memory.facts(user)
        ids = await listed(memory, user, "associative")
        await delete(memory, user, "associative", fact)
        line = memory.app.settings.erasure_ledger.read_text()
    kind, who, when, what = line.split()
    assert (kind, who, what) == ("item", str(user), ids[fact])
    assert when.startswith("20")


async def test_a_habit_does_not_come_back(life: Life) -> None:
    async with life.running() as memory:
        user = await memory.user()
        await ask_on(memory, user, mondays(4, 8, "Asia/Tokyo"))
        await mine(memory)
        (habit,) = await habits(memory, user)
    dump = life.backup()
    async with life.running() as memory:
        await delete(memory, user, "proactive", habit.text)
    life.restore(dump)
    async with life.running() as memory:
        await mine(memory)
        assert await habits(memory, user) == []
        assert await memory.app.forgetting.replay() == 0
