"""Children of the stack: kept running, and never left behind. Real processes."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from devstack import keeper
from devstack.output import Output
from devstack.process import Child, Keeper, ending
from devstack.state import Refused

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class Made:
    """Children whose lines are kept."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.keeper = Keeper()
        self.children: list[tuple[Child, asyncio.Task[None]]] = []

    def child(self, program: str) -> tuple[Child, asyncio.Task[None]]:
        child = Child(
            "work", [sys.executable, "-c", program], lambda: {}, Output(self.stream), self.keeper
        )
        self.children.append((child, asyncio.create_task(child.keep())))
        return self.children[-1]

    @property
    def said(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    all_of_it = Made()
    yield all_of_it
    for child, task in all_of_it.children:
        await child.stop(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await all_of_it.keeper.stop()


def pid_of(child: Child) -> int:
    return int(repr(child).split("pid=")[1].split()[0])


async def test_its_lines_are_printed_behind_its_name(made: Made) -> None:
    made.child(FOREVER)
    await until(lambda: "work      | up\n" in made.said)


async def test_it_is_started_again_when_it_dies_and_that_is_said(made: Made) -> None:
    child, _ = made.child(FOREVER)
    await until(lambda: made.said.count("| up\n") == 1)
    child.ready.set()
    first = pid_of(child)
    os.kill(first, signal.SIGKILL)
    await until(lambda: made.said.count("| up\n") == 2)
    assert "work died (killed by SIGKILL); starting it again in 0.25 s\n" in made.said
    assert pid_of(child) != first


async def test_it_ends_when_it_is_asked_to(made: Made) -> None:
    child, task = made.child(FOREVER)
    await until(lambda: "| up\n" in made.said)
    await child.stop(5)
    await task
    assert "died" not in made.said


async def test_it_is_forced_when_asking_does_not_help(made: Made) -> None:
    child, task = made.child(STUBBORN)
    await until(lambda: "| up\n" in made.said)
    await child.stop(0.1)
    await task
    assert "did not end in 0.1 s; it is killed" in made.said


async def test_bad_settings_are_not_tried_again(made: Made) -> None:
    _, task = made.child("raise SystemExit(2)")
    with pytest.raises(Refused, match=r"work cannot start \(exit status 2\)"):
        await asyncio.wait_for(task, 10)


async def test_what_never_comes_up_is_given_up(made: Made) -> None:
    _, task = made.child("raise SystemExit(1)")
    with pytest.raises(Refused, match=r"work cannot start \(exit status 1\)"):
        await asyncio.wait_for(task, 10)
    assert made.said.count("died") == 2


async def test_the_keeper_ends_what_a_killed_supervisor_leaves(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from devstack.output import Output\n"
        "from devstack.process import Child, Keeper\n"
        "async def main():\n"
        "    keeper = Keeper()\n"
        "    await keeper.start()\n"
        f"    command = [sys.executable, '-c', {FOREVER!r}]\n"
        "    child = Child('work', command, dict, Output(sys.stdout), keeper)\n"
        "    task = asyncio.create_task(child.keep())\n"
        "    while 'pid=None' in repr(child): await asyncio.sleep(0.01)\n"
        "    print(repr(child), flush=True)\n"
        "    await task\n"
        "asyncio.run(main())\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    try:
        # The child's own first line stands before or after this one, as the machine likes.
        told = (line for line in supervisor.stdout if "pid=" in line)
        pid = int(next(told).split("pid=")[1].split()[0])
    finally:  # a supervisor that is left keeps its child running under all later tests
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()
    await until(lambda: not keeper.alive(pid))


def test_the_keeper_forces_what_does_not_listen() -> None:
    stubborn = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    began = time.monotonic()
    keeper.end({stubborn.pid: signal.SIGTERM}, patience=0.2)
    assert stubborn.wait(5) == -signal.SIGKILL
    assert time.monotonic() - began < 5
    stubborn.stdout.close()


def test_endings_in_words() -> None:
    assert ending(0) == "exit status 0"
    assert ending(-9) == "killed by SIGKILL"
    assert ending(-1000) == "killed by signal 1000"
