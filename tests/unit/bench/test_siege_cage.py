"""A process that passes its limit is ended, and one that keeps to it lives."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.siege.cage import _parents, open_cage
from bench.siege.shipped import COMPOSE, memory_limits, size

MIB = 2**20
HOLDS = "import sys; sys.stdin.readline(); held = b'x' * {bytes}; print(len(held), flush=True); "
HOLDS += "sys.stdin.readline()"


@contextmanager
def holder(size: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that takes so much memory once it is told to, and keeps it until it is told."""
    command = [sys.executable, "-c", HOLDS.format(bytes=size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


@pytest.mark.parametrize("kernel", [True, False])
def test_who_passes_its_limit_is_ended_and_named(kernel: bool) -> None:
    with open_cage(kernel=kernel) as cage, holder(200 * MIB) as greedy, holder(10 * MIB) as modest:
        cage.add("greedy", 64 * MIB, greedy.pid)
        cage.add("modest", 64 * MIB, modest.pid)
        tell(greedy)
        tell(modest)
        assert greedy.wait(30) == -9
        assert modest.stdout is not None and int(modest.stdout.readline()) == 10 * MIB
        cage.look()
        assert cage.killed("greedy") and not cage.alive("greedy")
        assert not cage.killed("modest") and cage.alive("modest")
        assert 10 * MIB < cage.peak("modest") < cage.limit("modest")


def test_the_kernel_s_groups_are_gone_afterwards() -> None:
    before = time.monotonic()
    with open_cage() as cage, holder(MIB) as process:
        cage.add("short", 64 * MIB, process.pid)
        made = list(getattr(cage, "_made", {}).values())
    assert not any(group.exists() for group in made)
    assert time.monotonic() - before < 30


def test_a_group_is_made_below_our_own_or_in_version_two_beside_it() -> None:
    root = Path("/sys/fs/cgroup")
    first = "9:name=systemd:/\n4:cpu,memory:/a/b\n0::/\n"
    assert list(_parents(first)) == [(1, root / "memory/a/b"), (2, root)]
    assert list(_parents("0::/user.slice/me.scope\n")) == [(2, root / "user.slice")]


def test_the_limits_are_those_that_compose_gives() -> None:
    found = memory_limits()
    assert set(found) == {
        *("edge", "router", "agent", "memory", "formatter", "model", "postgres", "nats")
    }
    assert found["router"] == size("512m") == 512 * MIB
    assert all(64 * MIB <= limit <= 4096 * MIB for limit in found.values())


def test_a_limit_that_compose_changes_is_the_siege_s(tmp_path: Path) -> None:
    changed = tmp_path / "docker-compose.yml"
    changed.write_text(COMPOSE.read_text().replace("mem_limit: 768m", "mem_limit: 2g"))
    assert memory_limits(changed)["agent"] == 2 * 2**30


def test_a_service_without_a_limit_is_an_error(tmp_path: Path) -> None:
    changed = tmp_path / "docker-compose.yml"
    changed.write_text(COMPOSE.read_text().replace("mem_limit: 768m", "init: true"))
    with pytest.raises(KeyError):
        memory_limits(changed)
    with pytest.raises(ValueError, match="no size"):
        size("much")
