"""Migrations go up, down and up again over data, by plain alembic too."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from memory_svc import migrate
from memory_svc.store import database
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
