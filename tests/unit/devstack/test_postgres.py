"""The embedded Postgres, real."""

import asyncio
import io
import os
import resource
import shutil
import signal
import stat
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from devstack import postgres
from devstack.output import Output
from devstack.postgres import Embedded
from devstack.process import Child, Keeper
from devstack.state import Refused, open_state


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


async def test_it_runs_where_its_programs_stand_below_a_private_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's home, say: who it runs as may enter by the capability alone, and initdb asks
    access(2) whether postgres is there."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = postgres.programs().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, private / part.name, symlinks=True)
    programs = private / postgres.programs().relative_to(package.parent)
    monkeypatch.setattr(postgres, "programs", lambda: programs)
    state = open_state(private / "state")
    embedded = await postgres.prepare(state)
    await embedded.start_apart(embedded.data / "log")
    connection = await asyncpg.connect(embedded.url)
    assert await connection.fetchval("SELECT 6 * 7") == 42
    await connection.close()
    await embedded.stop()
    os.close(state.lock)


async def test_a_folder_that_is_full_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file size that cannot be passed stands for a disk that is full."""
    state = open_state(tmp_path / "state")
    full = postgres.of(state)

    def drop() -> None:
        if full.prepare:
            full.prepare()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    monkeypatch.setattr(postgres, "of", lambda _: replace(full, prepare=drop))
    with pytest.raises(
        Refused, match=r"could not be made: .*(File size limit|could not (write|extend))"
    ) as refused:
        await postgres.prepare(state)
    assert "\n" not in str(refused.value)
    assert not state.database.exists()
    os.close(state.lock)
