"""What a preference is called is as private as what it says: at rest, and through migrations."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet

from memory_svc import migrate
from memory_svc.store.tiers import core
from switchboard.v3 import memory_pb2 as pb
from tests.support.memory import Running, memory_service

TELLING = "diagnosis.hiv_status"


@pytest.fixture
async def memory(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with memory_service(database_url, tmp_path) as running:
        yield running


async def prefer(memory: Running, user: UUID, key: str, value: str) -> pb.MemoryItem:
    request = pb.UpdateCoreRequest(user_id=str(user), key=key, value=value)
    return (await memory.stub.UpdateCore(request)).item


async def preferences(memory: Running, user: UUID) -> dict[str, str]:
    found = await memory.stub.GetCore(pb.GetCoreRequest(user_id=str(user)))
    return {item.key: item.text for item in found.items}


async def keep_readable(
    memory: Running, user: UUID, key: str, value: str, ago: timedelta = timedelta()
) -> UUID:
    """Writes a preference as it was written before keys were sealed."""
    keys, row_id = await memory.app.keys.get(user), uuid4()
    sealed = keys.seal(value, core.place(row_id, 1))
    row = core.Row(row_id, key, None, sealed, None, 1, datetime.now(UTC) - ago)
    async with memory.app.db.connection() as db:
        await core.put(db, user, row)
    return row_id


async def stored(memory: Running) -> str:
    return str(await memory.fetch("SELECT * FROM memory_core"))


async def test_a_key_stands_as_a_keyed_hash_with_its_words_encrypted(memory: Running) -> None:
    ada, grace = await memory.user(), await memory.user()
    item = await prefer(memory, ada, TELLING, "negative")
    await prefer(memory, grace, TELLING, "unknown")
    assert TELLING not in await stored(memory)
    rows = await memory.fetch("SELECT user_id, key, key_encrypted FROM memory_core")
    assert len({row["key"] for row in rows}) == 2  # each user's own hash
    (row,) = (row for row in rows if row["user_id"] == ada)
    (user,) = await memory.fetch("SELECT encryption_key FROM users WHERE id = $1", ada)
    fernet = Fernet(memory.app.masters.unwrap(ada, user["encryption_key"]))
    assert fernet.decrypt(row["key_encrypted"]).decode() == (
        f"switchboard-1|{ada}|memory_core|{item.id}|key_encrypted|1\n{TELLING}"
    )


async def test_all_that_reads_a_preference_knows_its_key(memory: Running) -> None:
    user = await memory.user()
    await prefer(memory, user, "zeta", "last")
    await prefer(memory, user, TELLING, "negative")
    assert list(await preferences(memory, user)) == [TELLING, "zeta"]
    who = str(user)
    listed = (await memory.stub.List(pb.ListRequest(user_id=who))).items
    found = (await memory.stub.Search(pb.SearchRequest(user_id=who, query="negative"))).items
    exported = [each.item async for each in memory.stub.Export(pb.ExportRequest(user_id=who))]
    given = (await memory.enrich(user, "hello")).items
    assert {each.key for each in listed} == {each.key for each in exported} == {TELLING, "zeta"}
    assert [each.key for each in found] == [TELLING]
    assert [each.key for each in given] == [TELLING, "zeta"]


async def test_words_in_another_row_do_not_open(
    memory: Running, caplog: pytest.LogCaptureFixture
) -> None:
    user = await memory.user()
    await prefer(memory, user, "a", "1")
    await prefer(memory, user, "b", "2")
    await memory.fetch(
        """UPDATE memory_core SET key_encrypted =
            (SELECT key_encrypted FROM memory_core ORDER BY updated_at LIMIT 1)
        WHERE id = (SELECT id FROM memory_core ORDER BY updated_at DESC LIMIT 1) RETURNING id"""
    )
    with caplog.at_level(logging.ERROR):
        assert await preferences(memory, user) == {"a": "1"}
    assert "key_encrypted of row" in caplog.text
    assert (await prefer(memory, user, "b", "3")).text == "3"  # its hash still finds it
    assert await preferences(memory, user) == {"a": "1", "b": "3"}


async def test_readable_keys_are_read_until_a_job_has_sealed_them(memory: Running) -> None:
    user = await memory.user()
    row = await keep_readable(memory, user, TELLING, "negative")
    assert await preferences(memory, user) == {TELLING: "negative"}
    async with memory.app.db.connection() as db:
        await core.add_seal_jobs(db)
        await core.add_seal_jobs(db)
    assert await memory.fetch("SELECT count(*) FROM memory_jobs") == [(1,)]
    await memory.settled()
    assert TELLING not in await stored(memory)
    assert await preferences(memory, user) == {TELLING: "negative"}
    assert await memory.fetch("SELECT id FROM memory_core") == [(row,)]


async def test_a_job_is_made_at_start(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path) as memory:
        masters = ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)
        user = await memory.user()
        await keep_readable(memory, user, TELLING, "negative")
    given = {"master_keys": masters, "memory_workers": 1}
    async with memory_service(database_url, tmp_path, **given) as memory, asyncio.timeout(20):
        while "hiv" in await stored(memory):
            await asyncio.sleep(0.05)
        assert await preferences(memory, user) == {TELLING: "negative"}


@pytest.mark.parametrize("change", ["set", "undo", "delete"])
async def test_a_readable_key_is_changed_like_any(memory: Running, change: str) -> None:
    user = await memory.user()
    await keep_readable(memory, user, "tone", "brief")
    await prefer(memory, user, "tone", "long")
    assert "tone" not in await stored(memory)
    assert len(await memory.fetch("SELECT id FROM memory_core")) == 1
    if change == "undo":
        await memory.stub.UpdateCore(pb.UpdateCoreRequest(user_id=str(user), key="tone"))
        assert await preferences(memory, user) == {"tone": "brief"}
    elif change == "delete":
        await memory.stub.DeleteCore(pb.DeleteCoreRequest(user_id=str(user), key="tone"))
        assert await preferences(memory, user) == {}
    else:
        assert await preferences(memory, user) == {"tone": "long"}


@pytest.mark.parametrize("way", ["job", "set", "delete"])
async def test_of_two_rows_of_one_key_the_last_changed_counts(memory: Running, way: str) -> None:
    """An older replica that runs beside a newer one finds no sealed key, and writes its own."""
    user = await memory.user()
    await prefer(memory, user, "tone", "brief")
    await keep_readable(memory, user, "tone", "long", ago=-timedelta(seconds=5))
    assert await preferences(memory, user) == {"tone": "long"}
    match way:
        case "job":
            async with memory.app.db.connection() as db:
                await core.add_seal_jobs(db)
            await memory.settled()
            assert await preferences(memory, user) == {"tone": "long"}
            assert len(await memory.fetch("SELECT id FROM memory_core")) == 1
        case "set":
            await prefer(memory, user, "tone", "frank")
            assert await preferences(memory, user) == {"tone": "frank"}
            assert len(await memory.fetch("SELECT id FROM memory_core")) == 1
        case _:
            await memory.stub.DeleteCore(pb.DeleteCoreRequest(user_id=str(user), key="tone"))
            assert await preferences(memory, user) == {}


async def test_keys_survive_the_migration_down_and_up(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path) as memory:
        masters = ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)
        user = await memory.user()
        await prefer(memory, user, TELLING, "negative")
        await keep_readable(memory, user, "tone", "brief")
    await asyncio.to_thread(migrate.downgrade, database_url, "0005")
    await asyncio.to_thread(migrate.upgrade, database_url)
    async with memory_service(database_url, tmp_path, master_keys=masters) as memory:
        assert await preferences(memory, user) == {TELLING: "negative", "tone": "brief"}
        assert TELLING not in await stored(memory)
