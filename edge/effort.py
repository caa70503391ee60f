"""What reading costs, and whom: the CPU time that goes into what somebody sends.

A small frame takes 50 µs, one of a MiB 10 ms and more, and nobody else is read meanwhile. So
each user, over all sockets and REST, has a part of a core for it, and each address where no
user is known yet; who has had more is told to wait. And of large texts one at a time is read,
with everybody's small ones in between: else as many large ones as there are senders would
stand before a ping.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from edge.rates import Buckets, Rate, too_fast

BURST_S: Final = 10
"""The share of so many seconds may be taken at once."""

LARGE_BYTES: Final = 4 * 1024
"""What is larger waits for its turn: a text of this size takes up to 0.2 ms."""


class Effort:
    """`share`: the part of a core that one sender may have; 0: all of it. `clock`: CPU time,
    in seconds."""

    def __init__(self, share: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._buckets = Buckets(Rate(share * BURST_S, share) if share else None)
        self._clock = clock
        self._turn = asyncio.Lock()

    def wait(self, who: str) -> float:
        """The seconds until this sender may go on; 0 where it has not had too much."""
        return self._buckets.wait(who, asyncio.get_running_loop().time())

    def check(self, who: str) -> None:
        """Raises SwitchboardError (rate_limited) where it has."""
        if wait := self.wait(who):
            raise too_fast(wait)

    @contextmanager
    def spent(self, who: str) -> Iterator[None]:
        """What is done inside is done for this sender."""
        began = self._clock()
        try:
            yield
        finally:
            self.charge(who, self._clock() - began)

    def charge(self, who: str, seconds: float) -> None:
        """So much was done for it."""
        self._buckets.charge(who, asyncio.get_running_loop().time(), seconds)

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Read a text of so many bytes inside."""
        if size <= LARGE_BYTES:
            yield
            return
        async with self._turn:
            try:
                yield
            finally:
                await asyncio.sleep(0)
