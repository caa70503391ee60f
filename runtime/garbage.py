"""When a process looks for garbage in cycles: rarely, since nobody is served meanwhile.

Python looks through everything that is alive each time that a quarter more has come: with 2,000
sockets open 400,000 objects, 100 to 250 ms, and again every five seconds while sockets come and
go. Nearly all garbage goes without it. What does not, as the transport and the request of a
socket that was closed, costs nothing but memory: so memory says when.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from math import inf
from typing import Final

from runtime.memory_limit import used

LOOK_S: Final = 1.0
"""How often it is looked, in seconds."""

FULL: Final = 0.75
GROWN_FULL: Final = 1.1
"""Past this part of its limit a process looks after so much: for garbage nobody is refused."""

GROWN: Final = 2.0
"""So many times the memory of last time may be garbage: of a socket that was closed stay 20 KiB."""

APART: Final = 200
"""Pauses are so many times apart as the last was long: they take up to 0.5 % of the time, and a
99th percentile does not see them."""

_NEVER: Final = 1 << 30


class Sweeper:
    """Pauses for garbage where memory has grown. `limit`: of memory, in bytes; None: there is none;
    `collect`: does it."""

    def __init__(
        self,
        *,
        limit: int | None = None,
        collect: Callable[[], object] = gc.collect,
        used: Callable[[], int] = used,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._full = limit * FULL if limit else inf
        self._collect = collect
        self._used = used
        self._clock = clock
        self._before = used()
        self._due = clock()

    def look(self) -> None:
        """Collects if it is time."""
        now = self._clock()
        enough = min(self._before * GROWN, max(self._before * GROWN_FULL, self._full))
        if now < self._due or self._used() < enough:
            return
        self._collect()
        done = self._clock()
        self._before = self._used()
        self._due = done + APART * (done - now)


def settle() -> None:
    """What is imported by now is looked at by no collection again: 300,000 objects, nearly all of
    them modules, classes and messages' descriptors. From here on a Sweeper looks for the old
    garbage, and Python for the young."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


def watch(limit: int | None) -> None:
    """Sweeps from now on, in the running loop. `limit`: of memory, in bytes."""
    loop, sweeper = asyncio.get_running_loop(), Sweeper(limit=limit)

    def look() -> None:
        sweeper.look()
        loop.call_later(LOOK_S, look)

    look()
