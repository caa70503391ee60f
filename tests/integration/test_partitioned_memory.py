"""The memory tables can be partitioned, or spread, by user as they are."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from switchboard.v3 import accounts_pb2
from switchboard.v3 import memory_pb2 as pb
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import PASSWORD, Running, memory_service


@pytest.fixture
async def memory(partitioned: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        EmbeddingServer() as provider,
        memory_service(partitioned, tmp_path, openai_base_url=provider.url) as running,
    ):
        yield running


async def keys(url: str, kinds: str) -> dict[str, str]:
    """Table and name of each key of the memory tables, with what it is on."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        """SELECT conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE conrelid::regclass::text LIKE 'memory\\_%'
            AND contype::text = ANY (string_to_array($1, NULL))""",
        kinds,
    )
    await connection.close()
    return dict(map(tuple, rows))


async def test_every_key_of_a_memory_table_begins_with_the_user(database_url: str) -> None:
    found = await keys(database_url, "pu")
    assert {name.split()[0] for name in found} >= {
        "memory_core",
        "memory_episodic",
        "memory_associative",
        "memory_proactive",
        "memory_terms",
        "memory_jobs",
    }
    for name, definition in found.items():
        assert definition.split("(")[1].startswith("user_id"), name


async def test_every_reference_of_a_memory_table_holds_the_user(database_url: str) -> None:
    for name, definition in (await keys(database_url, "f")).items():
        assert "FOREIGN KEY (user_id" in definition, name
        assert "NOT VALID" not in definition, name
        assert "SET NULL" not in definition, name  # which Citus refuses


async def test_a_life_of_memory_over_partitions(memory: Running) -> None:
    users = [await memory.user() for _ in range(6)]
    for message in ("My office is room 12.", "My office is room 14.", "My cat is grey."):
        await asyncio.gather(*(memory.say(user, message) for user in users))
        await memory.settled()
    for user in users:
        for value in ("short", "long"):
            request = pb.UpdateCoreRequest(user_id=str(user), key="style", value=value)
            await memory.stub.UpdateCore(request)
        assert await memory.facts(user) == ["My office is room 14.", "My cat is grey."]
        texts = [item.text for item in (await memory.enrich(user, "which room?")).items]
        assert texts[:2] == ["long", "My office is room 14."]
    spread = await memory.fetch("SELECT DISTINCT tableoid FROM memory_associative")
    assert len(spread) > 1
    for user in users:
        await memory.accounts.Delete(
            accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
        )
    for table in ("core", "episodic", "associative", "proactive", "terms", "jobs", "writes"):
        assert not await memory.fetch(f"SELECT 1 FROM memory_{table}")
