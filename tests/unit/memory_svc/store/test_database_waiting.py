"""A service that cannot use its database says why, each time, and never with a password."""

import asyncio
import logging
from uuid import UUID

import asyncpg
import pytest

from memory_svc import migrate
from memory_svc.keys.invalidation import listen
from memory_svc.store.database import Database
from tests.support.ports import free


async def said(caplog: pytest.LogCaptureFixture, times: int) -> list[str]:
    async with asyncio.timeout(30):
        while len(caplog.messages) < times:
            await asyncio.sleep(0.02)
    return caplog.messages


async def told(url: str, caplog: pytest.LogCaptureFixture) -> str:
    """What is said twice running."""
    with caplog.at_level(logging.WARNING, "memory_svc"):
        waiting = asyncio.create_task(Database(url).connect())
        first, second, *_ = await said(caplog, 2)
        waiting.cancel()
    assert first == second
    assert "\n" not in first
    assert "s3cret" not in first
    return first


async def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    port = free(1)[0]
    line = await told(f"postgresql://me:s3cret@127.0.0.1:{port}/x", caplog)
    assert line.startswith("waiting for the database: it cannot be used: ")
    assert "Connect call failed" in line
    assert str(port) in line


async def test_there_is_no_such_database(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = await told(empty_database.replace("/test_", "/no_such_"), caplog)
    assert line.endswith("does not exist")


async def test_an_authority_that_is_no_certificate(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    here = request.path
    line = await told(f"postgresql://me:s3cret@db/x?sslmode=verify-full&sslrootcert={here}", caplog)
    assert "certificate" in line


async def test_the_migrations_have_not_run(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = await told(empty_database, caplog)
    assert line.endswith("it is at nothing, not " + migrate.head() + ": run the migrations")


async def test_what_is_not_heard_is_said(caplog: pytest.LogCaptureFixture) -> None:
    forgotten: list[UUID | None] = []
    url = f"postgresql://me:s3cret@127.0.0.1:{free(1)[0]}/x"
    with caplog.at_level(logging.WARNING, "memory_svc"):
        listening = asyncio.create_task(listen(url, forgotten.append))
        lines = await said(caplog, 2)
        listening.cancel()
    assert lines[0].startswith("nothing is heard from the database: ")
    assert "s3cret" not in lines[0]
    assert set(forgotten) == {None}  # no key is kept on the strength of what is not heard


async def test_a_migration_leaves_a_held_table_to_others_and_tries_again(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(migrate.downgrade, database_url, "0005")
    holder = await asyncpg.connect(database_url)
    other = await asyncpg.connect(database_url, command_timeout=30)
    held = holder.transaction()
    await held.start()
    await holder.execute("LOCK TABLE memory_core IN ACCESS SHARE MODE")
    with caplog.at_level(logging.WARNING, "memory_svc"):
        migrating = asyncio.create_task(asyncio.to_thread(migrate.upgrade, database_url))
        lines = await said(caplog, 1)
        # Whoever came behind the migration had to wait for its patience at the most.
        await other.fetchval("SELECT count(*) FROM memory_core")
        assert not migrating.done()
        await held.rollback()
        await migrating
    assert "lock timeout" in lines[0]
    assert await other.fetchval("SELECT version_num FROM alembic_version") == migrate.head()
    await other.close()
    await holder.close()
