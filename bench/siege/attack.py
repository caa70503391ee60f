"""What an attack is: a strike that is repeated by so many loops until the siege is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

SENT: Final = "sent"
SERVED: Final = "served"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who signed up."""

    email: str
    password: str
    token: str
    refresh_token: str


@dataclass(slots=True)
class Hand:
    """What one loop works with. `source`: its own address, on loopback. `tally`: what it sent
    (frames, requests or sockets), and what it was told, by code. `tokens`: of many accounts."""

    host: str
    port: int
    source: str
    account: Account | None = None
    tokens: Sequence[str] = ()
    tally: Counter[str] = field(default_factory=Counter)
    strikes: int = 0

    def sent(self, count: int = 1) -> None:
        self.tally[SENT] += count

    def served(self) -> None:
        """Something was answered as if it were honest."""
        self.tally[SERVED] += 1

    def told(self, code: str) -> None:
        """An error's code, `close` and its code, an HTTP status, or `cut`."""
        self.tally[code] += 1

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"


Strike = Callable[[Hand], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`told`: of these it must have heard one at least, or nobody told it what it does. None of
    them: what it does is not refused, it must only hurt nobody.

    `loops` of it run side by side, each with an account of its own where it is `signed_in`;
    between two strikes it pauses. It begins when so much of the siege is over (0–1); `takes_s`: so
    long it goes on before it can have been told.
    """

    name: str
    strike: Strike
    told: frozenset[str]
    loops: int = 1
    signed_in: bool = False
    pause_s: float = 0.05
    begins: float = 0.0
    takes_s: float = 15.0

    def expected(self, seconds: float) -> frozenset[str]:
        """What it must have heard one of in a siege of so many seconds."""
        return self.told if seconds * (1 - self.begins) >= self.takes_s else frozenset()


def told(*codes: str) -> frozenset[str]:
    return frozenset(codes)
