"""What one user, and all users of this edge, may hold. Pure.

A request holds its message and history and what its device answered, here and at the services
behind, from before it is passed on until its end: through drops of the socket, and past the
resume window where it runs on. Beside it are kept, for all devices of the user, connected or
not: frames that wait or may be asked for again, open calls, and the devices themselves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from runtime import held
from runtime.errors import SwitchboardError
from runtime.held import KEPT, RETRY_MS, overloaded
from switchboard.v3.errors_pb2 import ErrorCode

CROWDED_MS: Final = 5_000
"""When to try another socket: another edge may have come meanwhile."""


USERS: Final = 6
"""Of the requests of so many users who run all that they may, 96 by default, nobody runs more than
leave as many free for others. The services behind begin ten to a hundred a second, and gRPC gives
up what they have not begun within 30 s."""

FEW: Final = 2
"""What any user may run, however many others do: a question at the Home page and one in a popup."""


@dataclass(frozen=True, slots=True)
class Budget:
    """So many requests and bytes for a user, so many bytes for all."""

    requests_per_user: int = 16
    bytes_per_user: int = 8 * 1024 * 1024
    bytes: int = 64 * 1024 * 1024


class Pool(held.Pool):
    """What all users hold, in bytes. `tight`: whether the process is near its limit of memory."""

    def __init__(self, budget: Budget, tight: Callable[[], bool] = lambda: False) -> None:
        super().__init__(budget.bytes)
        self.requests = held.Pool(USERS * budget.requests_per_user, FEW)
        self.budget = budget
        self.tight = tight


class Share(held.Share):
    """What one user holds, over all devices, connected or not."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, pool.budget.bytes_per_user)
        self._budget = pool.budget
        self._tight = pool.tight
        self._requests = held.Share(pool.requests, pool.budget.requests_per_user)

    def __repr__(self) -> str:
        return f"Share({self._requests.held} requests, {self.held} bytes)"

    @property
    def crowded(self) -> bool:
        """Whether three quarters are held of what may be: no more is kept of answers then, so
        that who reads slowly, or is away, leaves room for requests of the user's other devices."""
        return 3 * self.room < self.held

    def problem(self, size: int) -> SwitchboardError | None:
        """Why a request of so many bytes cannot begin now (too_many_requests, overloaded)."""
        if self._requests.held >= self._budget.requests_per_user:
            return too_many(f"{self._budget.requests_per_user} requests of a user may run at once.")
        if not self._requests.fits(1):
            return too_many("The server runs many requests: wait for one of yours to end.")
        if self.fits(size) and not self._tight():
            return None
        if self.held + size > self._budget.bytes_per_user:
            return overloaded("Your requests hold too much at once: wait for one to end.")
        return overloaded()

    def begin(self, size: int) -> None:
        """A request of so many bytes begins."""
        self._requests.hold(1)
        self.hold(size)

    def end(self, size: int) -> None:
        """It has ended."""
        self._requests.hold(-1)
        self.hold(-size)


class Kept:
    """What one device keeps of a user's share."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._size = 0

    def is_now(self, size: int) -> None:
        """It keeps so many bytes."""
        self._share.hold(size - self._size, KEPT)
        self._size = size


def too_many(message: str) -> SwitchboardError:
    """The error of who has as many requests as may run."""
    return SwitchboardError(ErrorCode.ERROR_CODE_TOO_MANY_REQUESTS, message, RETRY_MS)


class Doors:
    """Sockets that are open, `most` at once (None: no limit), and none more while memory is
    `tight`."""

    def __init__(self, most: int | None, tight: Callable[[], bool] = lambda: False) -> None:
        self.most = most
        self._tight = tight
        self._open = 0

    def __repr__(self) -> str:
        return f"Doors({self._open} of {self.most})"

    @contextmanager
    def enter(self) -> Iterator[None]:
        """A socket is open inside. Raises SwitchboardError (overloaded) where none has room."""
        if (self.most is not None and self._open >= self.most) or self._tight():
            raise overloaded("The server has all the sockets that it can.", CROWDED_MS)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
