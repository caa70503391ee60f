"""A process pauses for its garbage where memory has grown, and seldom."""

import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runtime.garbage import APART, GROWN, Sweeper

MIB = 1 << 20


@dataclass
class Process:
    """`takes_s`: how long a collection takes; `pauses`: when each began."""

    takes_s: float = 0.25
    now: float = 0.0
    bytes: int = 100 * MIB
    pauses: list[float] = field(default_factory=list)

    def collect(self) -> None:
        self.pauses.append(self.now)
        self.now += self.takes_s

    def sweeper(self, limit: int | None = None) -> Sweeper:
        return Sweeper(
            limit=limit, collect=self.collect, used=lambda: self.bytes, clock=lambda: self.now
        )


def test_who_does_not_grow_is_never_paused() -> None:
    process = Process()
    sweeper = process.sweeper()
    for _ in range(1000):
        process.now += 1
        sweeper.look()
    assert process.pauses == []


def test_growth_is_looked_at_once() -> None:
    process = Process()
    sweeper = process.sweeper()
    process.bytes = round(process.bytes * GROWN)
    for _ in range(1000):
        process.now += 1
        sweeper.look()
    assert process.pauses == [1]


def test_near_its_limit_of_memory_a_little_growth_is_looked_at() -> None:
    process = Process()
    sweeper = process.sweeper(limit=512 * MIB)
    for process.bytes in (199 * MIB, 383 * MIB, 385 * MIB, 420 * MIB, 425 * MIB):
        process.now += 100
        sweeper.look()
    assert process.pauses == [200, 500 + process.takes_s]  # at 383 and at 425 MiB


@given(
    takes_s=st.floats(0.001, 2),
    growth=st.lists(st.integers(-64 * MIB, 64 * MIB), min_size=1, max_size=300),
)
def test_pauses_take_no_more_than_their_part_of_the_time(takes_s: float, growth: list[int]) -> None:
    process = Process(takes_s)
    sweeper = process.sweeper()
    for step in growth:
        process.now += 1
        process.bytes = max(MIB, process.bytes + step)
        sweeper.look()
    between = [later - before for before, later in pairwise(process.pauses)]
    assert all(each >= APART * takes_s for each in between)


CYCLES = """
import asyncio, gc
from runtime import garbage

class Thing:
    pass

garbage.settle()
seen = []
gc.callbacks.append(lambda phase, info: seen.append(info["generation"]))
kept = []
for _ in range(400_000):
    one, other = Thing(), Thing()
    one.other, other.one = other, one
    kept.append(Thing())  # what lives: by the default a quarter more of it is reason enough
print(seen.count(2), seen.count(0) > 100)
"""


def test_python_looks_for_young_garbage_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CYCLES], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["0", "True"]
