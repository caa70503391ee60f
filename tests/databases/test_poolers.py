"""Memory over pgbouncer as Debian ships it, in both of its modes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet

from memory_svc import migrate
from memory_svc.store.accounts.users import ERASED
from switchboard.v3 import accounts_pb2
from tests.databases.conftest import POSTGRES_15
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import PASSWORD, Running, memory_service
from tests.support.own_postgres import Own, own_postgres, pgbouncer

MASTER = Fernet.generate_key().decode()  # the tests share a database
MODES = ("session", "transaction")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with own_postgres(tmp_path_factory.mktemp("pooled") / "server", POSTGRES_15) as server:
        migrate.upgrade(server.url())
        yield server


@pytest.fixture(scope="module", params=MODES)
def pooled(request: pytest.FixtureRequest, server: Own) -> Iterator[dict[str, Any]]:
    """What memory_svc is told of the database."""
    with pgbouncer(server, request.param) as url:
        direct = {"database_direct_url": server.url()} if request.param == "transaction" else {}
        yield {
            "database_url": url,
            "database_pooling": request.param,
            "master_keys": MASTER,
        } | direct


@pytest.fixture
async def memory(pooled: dict[str, Any], tmp_path: Path) -> AsyncIterator[Running]:
    given = dict(pooled)
    async with (
        EmbeddingServer() as provider,
        memory_service(
            given.pop("database_url"), tmp_path, openai_base_url=provider.url, **given
        ) as running,
    ):
        yield running


async def test_what_is_said_at_once_by_many_is_remembered(memory: Running) -> None:
    """More at once than the pooler has connections: they change hands between statements."""
    users = [await memory.user() for _ in range(4)]
    await asyncio.gather(
        *(memory.say(user, f"The box {n} is red.") for n in range(8) for user in users)
    )
    await memory.settled()
    for user in users:
        assert sorted(await memory.facts(user)) == sorted(f"The box {n} is red." for n in range(8))
        found = await memory.enrich(user, "which box is red?")
        assert any("box" in item.text for item in found.items)


async def test_statements_are_planned_as_they_are_without_a_pooler(memory: Running) -> None:
    (row,) = await memory.fetch(
        "SELECT current_setting('jit'), current_setting('max_parallel_workers_per_gather')"
    )
    assert tuple(row) == ("off", "0")


async def test_that_a_key_was_destroyed_elsewhere_is_heard(memory: Running, server: Own) -> None:
    user = await memory.user()
    await memory.app.keys.get(user)
    assert user in memory.app.keys._kept
    other = await asyncpg.connect(server.url())
    async with asyncio.timeout(20):
        while user in memory.app.keys._kept:
            await other.execute("SELECT pg_notify($1, $2)", ERASED, str(user))
            await asyncio.sleep(0.05)
    await other.close()


async def test_an_account_is_erased(memory: Running) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    request = accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
    await memory.accounts.Delete(request)
    assert not await memory.fetch("SELECT 1 FROM memory_episodic WHERE user_id = $1", user)


async def test_migrations_run_over_it(pooled: dict[str, Any]) -> None:
    """In transaction mode too, again and again, where nobody gave them the direct way."""
    for _ in range(2):
        await asyncio.to_thread(migrate.downgrade, pooled["database_url"], "-1")
        await asyncio.to_thread(migrate.upgrade, pooled["database_url"])
