"""What the requests of a user, and of all users of this edge, may hold while they run. Pure.

A request holds its message and history, here and at the router, from before it is passed on
until its end: through drops of the socket, and past the resume window where it runs on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

RETRY_MS: Final = 1_000
"""When to ask again: answers take seconds, and each that ends makes room."""


CROWDED_MS: Final = 5_000
"""When to try another socket: another edge may have come meanwhile."""


@dataclass(frozen=True, slots=True)
class Budget:
    """So many requests and bytes for a user, so many bytes for all."""

    requests_per_user: int = 16
    bytes_per_user: int = 8 * 1024 * 1024
    bytes: int = 64 * 1024 * 1024


class Pool:
    """What the requests of all users hold, in bytes."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.held = 0

    def __repr__(self) -> str:
        return f"Pool({self.held} of {self.budget.bytes} bytes)"


class Share:
    """What one user's requests hold, over all devices, connected or not."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._requests = 0
        self._bytes = 0

    def __repr__(self) -> str:
        return f"Share({self._requests} requests, {self._bytes} bytes)"

    def problem(self, size: int) -> SwitchboardError | None:
        """Why a request of so many bytes cannot begin now (too_many_requests, overloaded)."""
        budget = self._pool.budget
        if self._requests >= budget.requests_per_user:
            return too_many(f"{budget.requests_per_user} requests of a user may run at once.")
        if self._bytes + size > budget.bytes_per_user:
            return _overloaded("Your requests hold too much at once: wait for one to end.")
        if self._pool.held + size > budget.bytes:
            return _overloaded("The server holds all that it can right now.")
        return None

    def hold(self, size: int) -> None:
        """A request of so many bytes begins."""
        self._change(1, size)

    def free(self, size: int) -> None:
        """It has ended."""
        self._change(-1, -size)

    def _change(self, requests: int, size: int) -> None:
        self._requests += requests
        self._bytes += size
        self._pool.held += size


def too_many(message: str) -> SwitchboardError:
    """The error of who has as many requests as may run."""
    return SwitchboardError(ErrorCode.ERROR_CODE_TOO_MANY_REQUESTS, message, RETRY_MS)


class Doors:
    """Sockets that are open, `most` at once (None: no limit)."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._open = 0

    def __repr__(self) -> str:
        return f"Doors({self._open} of {self._most})"

    @contextmanager
    def enter(self) -> Iterator[None]:
        """A socket is open inside. Raises SwitchboardError (overloaded) where none has room."""
        if self._most is not None and self._open >= self._most:
            raise _overloaded("The server has all the sockets that it can.", CROWDED_MS)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def _overloaded(message: str, retry_ms: int = RETRY_MS) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_OVERLOADED, message, retry_ms)
