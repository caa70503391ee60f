"""The time that is left of the call being served. gRPC for Python does not pass
deadlines on; whoever calls further sets `timeout=budget.within(cap)`."""

import time
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def start(seconds: float | None) -> None:
    """Sets what is left, in seconds; None: no limit. The server does so for each call."""
    _deadline.set(None if seconds is None else time.monotonic() + seconds)


def remaining() -> float | None:
    """Seconds left, never below 0; None: no limit."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def within(cap: float) -> float:
    """`cap` seconds, or what is left where that is less."""
    left = remaining()
    return cap if left is None else min(cap, left)
