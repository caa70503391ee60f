"""How often something may happen: token buckets. Pure: time is a parameter (seconds of
any clock that only goes forward)."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from typing import Final

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_DUST: Final = 1e-9
"""What is lost in sums of fractions must not make anyone wait once more."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once (`burst`), and so many in a second from then on."""

    burst: float
    per_s: float

    @classmethod
    def per_minute(cls, count: float) -> "Rate | None":
        """As many in a minute, all of them at once if need be; None for 0: no limit."""
        return cls(max(1.0, count), count / 60) if count else None


class Bucket:
    """What one caller may still do; full to begin with."""

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = rate.burst
        self._at = now

    def take(self, now: float, cost: float = 1.0) -> float:
        """Takes `cost` and returns 0, or takes nothing and returns the seconds until it may.

        What costs more than a whole burst costs a burst: else it could never happen.
        """
        cost = min(cost, self._rate.burst)
        self._fill(now)
        if self._level + _DUST < cost:
            return (cost - self._level) / self._rate.per_s
        self._level -= cost
        return 0.0

    def taken(self, now: float) -> float:
        """What has been taken and is not there again yet."""
        self._fill(now)
        return self._rate.burst - self._level

    def wait(self, now: float) -> float:
        """The seconds until nothing is owed."""
        self._fill(now)
        return max(0.0, -self._level / self._rate.per_s)

    def charge(self, now: float, cost: float) -> None:
        """Takes what was used already; at most a burst is owed."""
        self._fill(now)
        self._level = max(-self._rate.burst, self._level - cost)

    def _fill(self, now: float) -> None:
        self._level = min(self._rate.burst, self._level + (now - self._at) * self._rate.per_s)
        self._at = now


class Buckets:
    """A bucket for each key: `most` at once, who was seen longest ago is forgotten first.

    Forgetting fills a bucket again, so whoever has that many keys is not held by this.
    """

    def __init__(self, rate: Rate | None, most: int = 16_384) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Takes one of `key`'s and returns 0, or the seconds until there is one."""
        return self._bucket(self._rate, key, now).take(now) if self._rate else 0.0

    def spend(self, key: str, now: float) -> None:
        """The same; raises SwitchboardError (rate_limited) where there is none."""
        if wait := self.take(key, now):
            raise too_fast(wait)

    def charge(self, key: str, now: float, cost: float) -> None:
        """Takes of `key`'s what was used already."""
        if self._rate:
            self._bucket(self._rate, key, now).charge(now, cost)

    def taken(self, key: str, now: float) -> float:
        """What `key` has taken and is not there again yet."""
        return self._bucket(self._rate, key, now).taken(now) if self._rate else 0.0

    def wait(self, key: str, now: float) -> float:
        """The seconds until `key` owes nothing."""
        return self._bucket(self._rate, key, now).wait(now) if self._rate else 0.0

    def _bucket(self, rate: Rate, key: str, now: float) -> Bucket:
        bucket = self._buckets.pop(key, None) or Bucket(rate, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket


def too_fast(wait_s: float) -> SwitchboardError:
    """The error of who has to wait so many seconds."""
    return SwitchboardError(
        ErrorCode.ERROR_CODE_RATE_LIMITED, "Too many in too short a time.", ceil(wait_s * 1000)
    )
