"""How many bytes this process holds for those whom it serves, and who holds what. Pure.

What is held is counted, not measured: memory that was given back stays with a process for a
while, and so says little of what may still be taken on.
"""

from collections import Counter
from contextvars import ContextVar
from typing import Final

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

RETRY_MS: Final = 1_000
"""When to ask again: answers take seconds, and each that ends makes room."""

SENT: Final = "sent"
"""What came with a call, or with a request."""

KEPT: Final = "kept"
"""What is kept or made meanwhile."""


LITTLE: Final = 512
"""Who holds no more than this part of the pool is in nobody's way: 128 KiB of 64 MiB."""


class Pool:
    """What all of them hold, about `most` bytes of it, and of which kind it is. `little`: what
    anybody may hold, however many hold much: past `most` that is all."""

    def __init__(self, most: int, little: int | None = None) -> None:
        self.most = most
        self.little = most // LITTLE if little is None else little
        self.kinds: Counter[str] = Counter()
        self.held = 0

    def __repr__(self) -> str:
        return f"Pool({self.held} of {self.most} bytes)"

    @property
    def free(self) -> int:
        """What nobody holds."""
        return self.most - self.held


class Share:
    """What one of them holds: `most` bytes, and no more than it leaves free for the others; in
    any case a little.

    By the second bound of `n` who hold all that they may each has a part in n + 1, and as much is
    free, where they came by it in small steps. In large ones each can take half of what is left:
    so there is the third, by which who asks for an ordinary request is never refused for them.
    """

    def __init__(self, pool: Pool, most: int | None = None) -> None:
        self._pool = pool
        self._most = pool.most if most is None else most
        self.held = 0

    def __repr__(self) -> str:
        return f"Share({self.held} of {self._most} bytes)"

    @property
    def room(self) -> int:
        """How far it is from holding too much; below 0 it does."""
        return self._bound(self._pool.free) - self.held

    def fits(self, size: int) -> bool:
        """Whether it may hold so many bytes more."""
        return self._bound(self._pool.free - size) >= self.held + size

    def _bound(self, free: int) -> int:
        return min(self._most, max(free, self._pool.little))

    def hold(self, size: int, kind: str = SENT) -> None:
        """Holds so many bytes more; below 0: less."""
        self.held += size
        self._pool.held += size
        self._pool.kinds[kind] += size


class Call(Share):
    """What the call that is served right now holds. Given back as a context manager."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._kinds: Counter[str] = Counter()

    def __enter__(self) -> "Call":
        _call.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        for kind, size in self._kinds.items():
            super().hold(-size, kind)
        self._kinds.clear()

    def hold(self, size: int, kind: str = SENT) -> None:
        """Holds so many bytes more, until the call is over."""
        self._kinds[kind] += size
        super().hold(size, kind)

    def take(self, size: int) -> None:
        """Holds what came with it. Raises SwitchboardError (overloaded) where it has no room."""
        if not self.fits(size):
            raise overloaded()
        self.hold(size)

    def check(self) -> None:
        """Raises SwitchboardError (overloaded) where the call has grown to be too much."""
        if self.room < 0:
            raise overloaded()


_call: ContextVar[Call | None] = ContextVar("call", default=None)


def keep(size: int) -> None:
    """The call being served keeps so many bytes more of what it made, to its end."""
    if (call := _call.get()) is not None:
        call.hold(size, KEPT)


def overloaded(
    message: str = "The server holds all that it can right now.", retry_ms: int = RETRY_MS
) -> SwitchboardError:
    """The error of what has no room now."""
    return SwitchboardError(ErrorCode.ERROR_CODE_OVERLOADED, message, retry_ms)
