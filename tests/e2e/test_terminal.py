"""The terminal client against the whole of Switchboard, as it is started from a shell."""

import asyncio
import os
import pty
import sys
from pathlib import Path

import pytest

from tests.support.stack import Running


async def started(
    origin: str, state: Path, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "client.terminal", "--url", origin, *arguments),
        env=os.environ | {"STATE_DIR": str(state), "NO_COLOR": "1", "COLUMNS": "100"},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def chat(origin: str, state: Path, message: str) -> tuple[int, str, str]:
    """Asks one thing: the client's status, and what it printed."""
    client = await started(origin, state, "--message", message)
    out, err = await asyncio.wait_for(client.communicate(), 60)
    return client.returncode or 0, out.decode(), err.decode()


async def test_a_question_is_answered_from_the_data_of_this_device(
    stack: Running, tmp_path: Path
) -> None:
    status, out, err = await chat(stack.origin, tmp_path, "show my overdue tasks as a chart")
    assert status == 0, err
    assert "You have 4 overdue tasks." in out
    assert "█" in out, "a chart"
    assert "task: Return the old router" in out, "a card"


async def test_what_it_changes_is_there_the_next_time(stack: Running, tmp_path: Path) -> None:
    status, _, err = await chat(stack.origin, tmp_path, 'create a task called "Water the ferns"')
    assert status == 0, err
    status, out, err = await chat(stack.origin, tmp_path, "find the ferns task")
    assert status == 0, err
    assert "Water the ferns" in out


@pytest.mark.parametrize(("said", "left"), [("n", True), ("y", False)])
async def test_it_asks_before_it_deletes(
    stack: Running, tmp_path: Path, said: str, left: bool
) -> None:
    await chat(stack.origin, tmp_path, 'create a task called "Water the ferns"')
    asked = 'delete the task "Water the ferns"'
    keyboard, terminal = pty.openpty()
    client = await started(stack.origin, tmp_path, stdin=terminal)
    assert client.stderr
    os.write(keyboard, f"{asked}\n".encode())
    async with asyncio.timeout(60):
        await client.stderr.readuntil("Delete task “Water the ferns”? [y/N".encode())
        os.write(keyboard, f"{said}\n\x04".encode())
        await client.communicate()
    for end in (keyboard, terminal):
        os.close(end)
    _, out, _ = await chat(stack.origin, tmp_path, "list my tasks")
    assert ("Water the ferns" in out) is left


async def test_how_many_is_counted_and_a_word_that_nothing_has_is_told(
    stack: Running, tmp_path: Path
) -> None:
    status, out, err = await chat(stack.origin, tmp_path, "how many tasks do I have by project?")
    assert status == 0, err
    assert "You have 11 tasks." in out and "Website relaunch" in out
    assert "count_tasks" in out + err
    status, out, err = await chat(stack.origin, tmp_path, "show my blocked tasks")
    assert "You have no blocked tasks." in out
    assert "status done, in progress, todo" in out


async def test_nobody_there_is_one_clear_line(tmp_path: Path) -> None:
    status, _, err = await chat("http://127.0.0.1:9", tmp_path, "hello")
    assert status == 1
    assert len(err.strip().splitlines()) == 1
    assert "127.0.0.1:9" in err
