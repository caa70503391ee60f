"""The embedded Postgres, real."""

import asyncio
import io
import os
import signal
import stat
from pathlib import Path

import asyncpg

from devstack import postgres
from devstack.output import Output
from devstack.postgres import Embedded
from devstack.process import Child, Keeper
from devstack.state import open_state


def served(embedded: Embedded, output: Output) -> Child:
    return Child(
        "postgres",
        embedded.command(),
        lambda: {"LC_ALL": "C"},
        output,
        Keeper(),
        stop_signal=signal.SIGINT,
        prepare=embedded.prepare,
    )


async def test_it_is_made_once_and_outlives_a_crash_in_a_private_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    state = open_state(tmp_path)
    said = io.StringIO()
    first = await postgres.prepare(state)
    child = served(first, Output(said))
    running = asyncio.create_task(child.run())
    await first.wait()
    connection = await asyncpg.connect(first.url)
    await connection.execute("CREATE EXTENSION vector; CREATE TABLE kept (words text)")
    await connection.execute("INSERT INTO kept VALUES ('still here')")
    await connection.close()

    # The supervisor forgets it, as after a crash of the whole machine but for Postgres.
    second = await postgres.prepare(state)
    assert await asyncio.wait_for(running, 10) == 0
    child = served(second, Output(said))
    running = asyncio.create_task(child.run())
    await second.wait()
    connection = await asyncpg.connect(second.url)
    assert await connection.fetchval("SELECT words FROM kept") == "still here"
    await connection.close()
    await child.stop(5)
    assert await running == 0

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert stat.S_IMODE(state.database.stat().st_mode) == 0o700
    assert "kept" not in said.getvalue()
    os.close(state.lock)
