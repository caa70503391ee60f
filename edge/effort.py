"""What reading costs, and whom: the CPU time that goes into what somebody sends.

A small frame takes 50 µs, one of a MiB 10 ms and more, and nobody else is read meanwhile. So
each user, over all sockets and REST, has a part of a core for it, and each address where no
user is known yet; who has had more is told to wait. That alone bounds one sender, not many. So
there are three lanes: who sent little of late is read at once; of large texts one is read in a
pass of the loop, with everybody's small ones in between; and all who sent much share one lane,
which rests six times as long as it works. Where too many stand in that, who comes is told to wait.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from edge.rates import Buckets, Rate, too_fast

BURST_S: Final = 4
"""The share of so many seconds may be taken at once."""

LITTLE_S: Final = 0.4
"""Who has taken the share of no more than so many seconds is read at once."""

REST: Final = 6.0
"""So many times as long as it took to read for one who sent much, nobody of these is read."""

MOST_STANDING: Final = 8
"""Of those who sent much so many may wait to be read …"""

CROWDED_S: Final = 1.0
"""… and who comes then is to wait so long, in seconds."""

SMALL_BYTES: Final = 1024
SMALL_S: Final = 1e-4
"""What a frame of up to so many bytes costs, in seconds of CPU: 60 µs, and a request 300."""

LARGE_BYTES: Final = 4 * 1024
"""What is larger waits for its turn: a text of this size takes up to 0.2 ms."""


class Effort:
    """`share`: the part of a core that one sender may have; 0: all of it. `clock`: CPU time,
    in seconds."""

    def __init__(self, share: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._share = share
        self._buckets = Buckets(Rate(share * BURST_S, share) if share else None)
        self._clock = clock
        self._large = asyncio.Lock()
        self._much = asyncio.Lock()
        self._standing = 0  # in its lane

    def wait(self, who: str) -> float:
        """The seconds until this sender may go on; 0 where it has not had too much."""
        owed = self._buckets.wait(who, asyncio.get_running_loop().time())
        crowded = self._standing >= MOST_STANDING and self._sent_much(who)
        return owed or (CROWDED_S if crowded else 0.0)

    def check(self, who: str) -> None:
        """Raises SwitchboardError (rate_limited) where it has."""
        if wait := self.wait(who):
            raise too_fast(wait)

    @contextmanager
    def spent(self, who: str, size: int | None = None) -> Iterator[None]:
        """What is done inside is done for this sender. `size`: for reading a text of so many
        bytes; what it costs is known for a small one, and the clock is a system call."""
        if size is not None and size <= SMALL_BYTES:
            self.charge(who, SMALL_S)
            yield
            return
        began = self._clock()
        try:
            yield
        finally:
            self.charge(who, self._clock() - began)

    def charge(self, who: str, seconds: float) -> None:
        """So much was done for it."""
        self._buckets.charge(who, asyncio.get_running_loop().time(), seconds)

    @asynccontextmanager
    async def turn(self, who: str, size: int) -> AsyncIterator[None]:
        """Read a text of so many bytes of this sender's inside, and do what it asks for."""
        if self._sent_much(who):
            async with self._slow_lane():
                yield
        elif size > LARGE_BYTES:
            async with self._large:
                try:
                    yield
                finally:
                    await asyncio.sleep(0)
        else:
            yield

    @asynccontextmanager
    async def _slow_lane(self) -> AsyncIterator[None]:
        self._standing += 1
        try:
            async with self._much:
                began = self._clock()
                try:
                    yield
                finally:
                    await asyncio.sleep(REST * (self._clock() - began))
        finally:
            self._standing -= 1

    def _sent_much(self, who: str) -> bool:
        taken = self._buckets.taken(who, asyncio.get_running_loop().time())
        return taken > self._share * LITTLE_S
