"""What is due when. An alarm is a hint: whether it still holds is seen as it rings."""

import heapq
from collections.abc import Iterator
from enum import Enum, auto
from itertools import count


class Due(Enum):
    """What an alarm is about; its key is a call id or a request id."""

    CALL = auto()  # a call's time is up
    FORGET_CALL = auto()  # a call that is over need not be known any more
    CANCEL = auto()  # the router is late with the end of a cancelled request
    AWAY = auto()  # the resume window of a request ends
    FORGET = auto()  # an answer that ended is kept no longer


class Alarms:
    """Alarms in order of time, and of their setting where the time is the same."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due, str]] = []
        self._order = count()

    @property
    def next(self) -> float | None:
        """When the first one rings, in seconds of the session's clock."""
        return self._heap[0][0] if self._heap else None

    def at(self, when: float, due: Due, key: str) -> None:
        """Sets one."""
        heapq.heappush(self._heap, (when, next(self._order), due, key))

    def ring(self, now: float) -> Iterator[tuple[Due, str]]:
        """Yields, and forgets, what is due; also what is set meanwhile."""
        while self._heap and self._heap[0][0] <= now:
            _, _, due, key = heapq.heappop(self._heap)
            yield due, key
