"""Migrations go up, down and up again over data, by plain alembic too."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from memory_svc import migrate
from memory_svc.store import database
from memory_svc.store.tiers import facts
from tests.support.memory import memory_service

ROOT = Path(__file__).parents[3]


def test_the_service_waits_for_the_newest_revision() -> None:
    assert migrate.head() == database.REVISION


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    return {row[0] for row in rows}


async def test_up_down_and_up_again_over_data(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path) as memory:
        masters = ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)
        user = await memory.user()
        for message in ("My office is room 12.", "My office is room 14."):
            await memory.say(user, message)
            await memory.settled()
    before = await tables(database_url)
    for _ in range(2):
        await asyncio.to_thread(migrate.downgrade, database_url, "-1")
        await asyncio.to_thread(migrate.upgrade, database_url)
    async with memory_service(database_url, tmp_path, master_keys=masters) as memory:
        assert await memory.facts(user) == ["My office is room 14."]
        assert "room 14" in (await memory.enrich(user, "which room?")).items[0].text
    await asyncio.to_thread(migrate.downgrade, database_url, "0001")
    assert "memory_core" not in await tables(database_url)
    await asyncio.to_thread(migrate.upgrade, database_url)
    assert await tables(database_url) == before
    async with memory_service(database_url, tmp_path, master_keys=masters) as memory:
        assert await memory.facts(user) == []  # the account stayed, and works
        await memory.say(user, "My cat is grey.")
    await asyncio.to_thread(migrate.downgrade, database_url, "base")
    assert await tables(database_url) == {"alembic_version"}


@pytest.mark.parametrize("command", [("upgrade", "head"), ("current",)])
async def test_plain_alembic_works_at_the_root(
    empty_database: str, command: tuple[str, ...]
) -> None:
    def run(*arguments: str) -> None:
        subprocess.run(
            [str(Path(sys.executable).with_name("alembic")), *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": empty_database},
            check=True,
            capture_output=True,
        )

    await asyncio.to_thread(run, *command)
    await asyncio.to_thread(run, "upgrade", "head")
    assert "memory_core" in await tables(empty_database)


async def test_two_that_migrate_at_once_do_not_collide(empty_database: str) -> None:
    def run() -> None:
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "memory_svc", "migrate"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": empty_database},
            check=True,
            capture_output=True,
        )

    await asyncio.gather(asyncio.to_thread(run), asyncio.to_thread(run))
    assert "memory_core" in await tables(empty_database)


async def rows(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    found = [tuple(row) for row in await connection.fetch(statement, *values)]
    await connection.close()
    return found


async def test_keys_change_under_data_and_a_build_that_was_cut_short(
    empty_database: str,
) -> None:
    """What superseded what is kept, up and down; an index that is no good is made anew."""
    await asyncio.to_thread(migrate.upgrade, empty_database, "0007")
    connection = await asyncpg.connect(empty_database)
    user, old, new = (uuid4() for _ in range(3))
    await connection.execute(
        "INSERT INTO users VALUES ($1, 'a@example.com', '', 'key', 'master')", user
    )
    for fact, by in ((new, None), (old, new)):
        await connection.execute(
            """INSERT INTO memory_associative (id, user_id, content_encrypted, digest, term_count,
                revision, superseded_by, created_at, updated_at)
            VALUES ($1, $2, '', '', 1, 1, $3, now(), now())""",
            *(fact, user, by),
        )
    await connection.execute("CREATE UNIQUE INDEX memory_core_by_user ON memory_core (user_id, id)")
    await connection.execute(
        """UPDATE pg_index SET indisvalid = false
        WHERE indexrelid = 'memory_core_by_user'::regclass"""
    )
    await connection.close()
    said = "SELECT id, superseded_by FROM memory_associative ORDER BY superseded_by NULLS LAST"
    for _ in range(2):
        await asyncio.to_thread(migrate.upgrade, empty_database)
        assert await rows(empty_database, said) == [(old, new), (new, None)]
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'memory_core_pkey'::regclass"
        assert await rows(empty_database, valid) == [(True,)]
        await asyncio.to_thread(migrate.downgrade, empty_database, "0007")
        assert await rows(empty_database, said) == [(old, new), (new, None)]
    await asyncio.to_thread(migrate.upgrade, empty_database)
    connection = await asyncpg.connect(empty_database)
    assert await facts.remove(connection, user, new)
    await connection.close()
    assert await rows(empty_database, said) == [(old, None)]


async def test_indexes_are_built_while_the_tables_are_written(empty_database: str) -> None:
    """Whoever writes a preference and takes their time holds up the change of keys, not others."""
    await asyncio.to_thread(migrate.upgrade, empty_database, "0007")
    writer, other = [await asyncpg.connect(empty_database) for _ in range(2)]
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("LOCK TABLE memory_core IN ROW EXCLUSIVE MODE")
    migration = asyncio.create_task(asyncio.to_thread(migrate.upgrade, empty_database))
    built = "SELECT count(*) FROM pg_index WHERE indexrelid::regclass::text LIKE '%_by_user'"
    async with asyncio.timeout(30):
        while not await other.fetchval(built):
            await asyncio.sleep(0.02)
    await other.execute("DELETE FROM memory_core")  # would wait behind who waits for the table
    assert not migration.done()
    await transaction.rollback()
    await migration
    for each in (writer, other):
        await each.close()
    assert await rows(empty_database, "SELECT version_num FROM alembic_version") == [
        (database.REVISION,)
    ]
