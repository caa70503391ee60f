"""What the user types: lines, and yes or no to what needs their approval."""

import asyncio
import os
import sys
import threading

from client.terminal.device import Ask, Call
from client.terminal.reading import TITLE
from client.terminal.render import Screen
from client.terminal.store import Store

NOBODY = "nobody is there to be asked"
DOUBT = "before it wanted this, the agent read text that others may have written"


class Lines:
    """Lines of standard input, read by a thread of its own: no loop can wait for every
    kind of input, and a read of the raw descriptor holds no lock that would hang the exit."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._thread: threading.Thread | None = None

    async def get(self) -> str | None:
        """Returns the next line without its break; None at the end of the input."""
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._read, args=(loop,), daemon=True)
            self._thread.start()
        return await self._queue.get()

    def drop_waiting(self) -> None:
        """Forgets what was typed ahead: it was typed before the question was there."""
        while not self._queue.empty():
            self._queue.get_nowait()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        rest = b""
        try:
            while chunk := os.read(sys.stdin.fileno(), 65_536):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    self._put(loop, line.decode("utf-8", "replace"))
            if rest:
                self._put(loop, rest.decode("utf-8", "replace"))
            self._put(loop, None)
        except (OSError, RuntimeError):
            return  # the input or the loop is gone, and so is whoever waits

    def _put(self, loop: asyncio.AbstractEventLoop, line: str | None) -> None:
        loop.call_soon_threadsafe(self._queue.put_nowait, line)


def asker(screen: Screen, lines: Lines, store: Store, *, interactive: bool) -> Ask:
    """Returns what asks the user for a call, one at a time; without a user it says no."""
    one_at_a_time = asyncio.Lock()

    async def ask(call: Call) -> str | None:
        if not interactive:
            return NOBODY
        async with one_at_a_time:
            lines.drop_waiting()
            if call.untrusted:
                screen.note(DOUBT)
            screen.question(f"{describe(call, store)}? [y/N, or why not]")
            said = ((await lines.get()) or "").strip()
        if said.lower() in ("y", "yes"):
            return None
        return "the user said no" if said.lower() in ("", "n", "no") else said

    return ask


def describe(call: Call, store: Store) -> str:
    """Says in one line what a call would do, with the name of what it would do it to."""
    what = call.name.replace("_", " ")
    kind = call.name.rpartition("_")[2]
    entity_id = str(call.arguments.get("id", ""))
    item = store.get(kind, entity_id) if kind in TITLE else None
    name = item.get(TITLE[kind]) if item else entity_id
    return f"{what[:1].upper()}{what[1:]} “{name}”".replace("\n", " ")
