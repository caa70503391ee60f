"""What reading costs, and whom: the CPU time that goes into what somebody sends.

A small frame takes 50 µs, one of a MiB 10 ms and more, and nobody else is read meanwhile. So
each user, over all sockets and REST, has a part of a core for it, and each address where no user
is known yet; who has had more is told to wait. That alone bounds one sender, not many. So a
second costs up to twenty times as much while the edge is busy: those who send much share what there
is, and who sends little has more than it needs. And there are three lanes: who sent little of
late is read at once; of large texts one is read in a pass of the loop, with everybody's small
ones in between; and all who sent much share one lane, which rests six times as long as it works.
Where too many stand in that, who comes is told to wait.

To say no costs as much as to answer, too: who comes again at once hears it a moment later.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from edge.access.rate_limit import Buckets, Rate, too_fast

T = TypeVar("T")

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

REQUEST_S: Final = 1e-3
"""What a call of REST or an upgrade costs beside its body, in seconds of CPU: 0.7 to 1.5 ms."""

FAILED_S: Final = 1e-3
"""What one costs more that shows no good token."""

BUSY: Final = 0.4
IDLE: Final = 0.3
"""Above and below these parts of a core a second becomes dearer and cheaper. At 0.5 and 0.35 an
honest ping took 75 ms under the siege (p99), at these 45."""

MANY: Final = 8
"""Fewer senders than these may have the edge to themselves: they keep nobody waiting."""

WINDOW_S: Final = 0.1
DEARER: Final = 1.6
CHEAPER: Final = 0.8
DEAREST: Final = 20.0
"""Looked at so often, in seconds, and by so much a time: within a second from one end to the other.
At the dearest a user keeps 2.5 ms of each second, which is 25 small frames, and 10 at once."""

HOLD_S: Final = (0.5, 1.5)
"""So much later a call hears that it came too soon, in seconds: its caller asks for one after the
other, and each costs 1 ms. Not all of them at once."""

MOST_HELD: Final = 256
"""So many at once are held so; a connection takes 40 KiB meanwhile."""


class Load:
    """How busy the process is, and so what a second costs. `clock`: CPU time, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._price = 1.0
        self._senders: set[str] = set()
        self._began = 0.0
        self._spent = clock()

    def price(self, now: float, who: str) -> float:
        """What a second costs this sender now: 1 to DEAREST."""
        self._senders.add(who)
        if now - self._began >= WINDOW_S:
            spent = self._clock()
            busy = (spent - self._spent) / (now - self._began)
            self._began, self._spent = now, spent
            if busy > BUSY and len(self._senders) >= MANY:
                self._price = min(DEAREST, self._price * DEARER)
            elif busy < IDLE:
                self._price = max(1.0, self._price * CHEAPER)
            self._senders.clear()
        return self._price


class Effort:
    """`share`: the part of a core that one sender may have; 0: all of it. `clock`: CPU time,
    in seconds."""

    def __init__(self, share: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._share = share
        self._buckets = Buckets(Rate(share * BURST_S, share) if share else None)
        self._clock = clock
        self._large = asyncio.Lock()
        self._much = asyncio.Lock()
        self._door = asyncio.Lock()
        self._load = Load(clock)
        self._standing = 0  # in its lane
        self._in_lane: str | None = None
        self._lane_s = 0.0
        self._held = 0

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
        now = asyncio.get_running_loop().time()
        self._buckets.charge(who, now, seconds * self._load.price(now, who))
        if who == self._in_lane:
            self._lane_s += seconds

    async def run(self, who: str, steps: Generator[None, None, T]) -> T:
        """Does for this sender what takes long, and lets others have their turn after each step."""
        while True:
            with self.spent(who):
                try:
                    next(steps)
                except StopIteration as end:
                    result: T = end.value
                    return result
            await asyncio.sleep(0)

    async def enter(self) -> None:
        """Lets one call begin in a pass of the loop: fifty at once would take 30 ms of it."""
        async with self._door:
            await asyncio.sleep(0)

    async def hold(self) -> None:
        """Keeps who is to be refused for a moment."""
        if self._held >= MOST_HELD:
            return
        self._held += 1
        try:
            await asyncio.sleep(random.uniform(*HOLD_S))  # noqa: S311 - no secret
        finally:
            self._held -= 1

    @asynccontextmanager
    async def turn(self, who: str, size: int) -> AsyncIterator[None]:
        """Read a text of so many bytes of this sender's inside, and do what it asks for."""
        if self._sent_much(who):
            async with self._slow_lane(who):
                yield
        elif size > LARGE_BYTES:
            async with self._large:
                yield
                await asyncio.sleep(0)
        else:
            yield

    @asynccontextmanager
    async def _slow_lane(self, who: str) -> AsyncIterator[None]:
        self._standing += 1
        try:
            async with self._much:
                self._in_lane, self._lane_s = who, 0.0
                try:
                    yield
                finally:
                    self._in_lane = None
                    await asyncio.sleep(REST * self._lane_s)
        finally:
            self._standing -= 1

    def _sent_much(self, who: str) -> bool:
        taken = self._buckets.taken(who, asyncio.get_running_loop().time())
        return taken > self._share * LITTLE_S
