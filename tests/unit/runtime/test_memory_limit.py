"""What a container says of its memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.memory_limit import LOOK_S, TIGHT_S, Guard, give_back, of_cgroup, used


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(
    ("written", "limit"),
    [("536870912\n", 536870912), ("max\n", None), ("9223372036854771712\n", None), ("", None)],
)
def test_the_limit_of_the_cgroup_is_read(
    tmp_path: Path, name: str, written: str, limit: int | None
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(written)
    assert of_cgroup(tmp_path, tmp_path) == limit


def test_without_a_cgroup_there_is_no_limit(tmp_path: Path) -> None:
    assert of_cgroup(tmp_path, tmp_path) is None


@pytest.mark.parametrize(
    ("line", "own", "above"),
    [
        ("0::/system.slice/edge.service", "system.slice/edge.service", "system.slice"),
        ("4:cpu,memory:/system.slice/edge", "memory/system.slice/edge", "memory/system.slice"),
    ],
)
@pytest.mark.parametrize(("own_limit", "above_limit"), [(100, 200), (200, 100), (None, 100)])
def test_outside_of_a_container_the_lowest_limit_on_the_way_up_counts(
    tmp_path: Path, line: str, own: str, above: str, own_limit: int | None, above_limit: int
) -> None:
    process, root = tmp_path / "self", tmp_path / "cgroup"
    process.mkdir()
    (process / "cgroup").write_text(f"7:pids:/elsewhere\n{line}\n")
    name = "memory.limit_in_bytes" if "memory" in line else "memory.max"
    (root / own).mkdir(parents=True)
    (root / own / name).write_text("max" if own_limit is None else str(own_limit))
    (root / above / name).write_text(str(above_limit))
    assert of_cgroup(root, process) == 100


class Process:
    """A process that uses memory as it is told, and gives back what it can."""

    def __init__(self, limit: int | None) -> None:
        self.uses, self.garbage, self.now, self.looks = 0, 0, 1.0, 0
        self.guard = Guard(limit, used=self.used, give_back=self.clean, clock=lambda: self.now)

    def used(self) -> int:
        self.looks += 1
        return self.uses

    def clean(self) -> None:
        self.uses -= self.garbage


def test_near_its_limit_a_process_is_tight_until_it_uses_less() -> None:
    process = Process(1_000)
    process.uses = 900
    assert not process.guard.tight()
    process.now += LOOK_S
    process.uses = 901
    assert process.guard.tight()
    process.uses = 100
    assert process.guard.tight()  # it is looked now and then only
    process.now += TIGHT_S
    assert not process.guard.tight()


def test_memory_that_was_freed_and_not_given_back_does_not_keep_it_shut() -> None:
    process = Process(1_000)
    process.uses, process.garbage = 990, 500
    assert not process.guard.tight()
    assert process.uses == 490


def test_it_is_not_looked_for_each_call() -> None:
    process = Process(1_000)
    for _ in range(100):
        process.guard.tight()
    assert process.looks == 1


def test_without_a_limit_nothing_is_tight() -> None:
    process = Process(None)
    process.uses = 1 << 50
    assert not process.guard.tight()


def test_this_process_says_what_it_uses() -> None:
    before = used()
    more = bytearray(b"x" * (64 << 20))
    assert used() - before > len(more) // 2
    give_back()
    assert used() > 0


HOARD = """
import random
from runtime.memory_limit import hoard_nothing, used

hoard_nothing()
before = used()
large = [b"x" * random.randrange(700_000, 1_000_000) for _ in range(200)]
small = [bytes(1000) for _ in range(1000)]  # what comes last keeps the rest of a heap from going
full = used()
del large
print(full - before > 50_000_000, used() - before < 30_000_000)
"""


def test_what_was_large_is_given_back_as_it_is_freed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOARD], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["True", "True"]
