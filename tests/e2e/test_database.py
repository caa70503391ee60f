"""The database dies under the stack, and comes back."""

import asyncio
import os
import signal
from pathlib import Path

from tests.support.device import Answer, Device
from tests.support.stack import Running, children


def postmaster(stack: Running) -> int:
    """The process of the embedded Postgres; 0 where there is none."""
    for pid in children(stack.process.pid):
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/postgres"):
            return pid
    return 0


async def stored(device: Device) -> Answer:
    """Asks until an exchange is remembered at once; no answer may fail meanwhile."""
    async with asyncio.timeout(60):
        while True:
            answer = await device.ask("what is overdue?")
            assert answer.end["status"] == "completed", answer.end
            if answer.end["memory"] == "stored":
                return answer
            await asyncio.sleep(0.2)


async def test_the_database_dies_and_answers_go_on(stack: Running, device: Device) -> None:
    await stored(device)
    running = await device.home("rehearse a slow answer of 40 words")
    await running.until(lambda answer: len(answer.of("stream_text")) > 3)
    dead = postmaster(stack)
    os.kill(dead, signal.SIGKILL)
    without = await device.ask("what is overdue?")
    assert without.end["status"] == "completed"
    await running.ended()
    assert running.end["status"] == "completed"
    assert running.text.split() == [f"word{number}" for number in range(1, 41)]
    assert (await stored(device)).text.startswith("You have 2 overdue tasks.")
    assert postmaster(stack) not in (0, dead)
