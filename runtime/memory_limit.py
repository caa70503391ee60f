"""How much memory this process may use before the kernel ends it, and how much it uses."""

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")
_SELF: Final = Path("/proc/self")
_NONE: Final = 1 << 60
"""Version 1 says no limit by a number near 2**63."""

LARGE_BYTES: Final = 128 * 1024
"""What is as large has pages of its own: glibc's default, which it raises to whatever is freed."""

ARENAS: Final = 2
"""One for the loop, and one for gRPC's threads; by default eight for each core."""

_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""glibc's numbers, from <malloc.h>."""

TIGHT: Final = 0.9
"""Past this part of its limit a process takes nothing on: what is under way grows, too."""

LOOK_S: Final = 0.1
"""So often it is looked, in seconds: a look takes 15 µs …"""

TIGHT_S: Final = 1.0
"""… and to give memory back, milliseconds."""


def of_cgroup(root: Path = _CGROUP, process: Path = _SELF) -> int | None:
    """The lowest limit of the process's cgroups, in bytes; None where there is none, or none that
    can be read."""
    return min(filter(None, map(_read, _files(root, process))), default=None)


def _files(root: Path, process: Path) -> Iterator[Path]:
    """Where limits may stand, version 2 and version 1. In a container its own cgroup is the root;
    outside of one the process's stands below, and each above it counts, too."""
    yield root / "memory.max"
    yield root / "memory/memory.limit_in_bytes"
    try:
        lines = (process / "cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        if controllers == "":
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        below = Path(path.strip("/"))
        yield from (base / each / name for each in (below, *below.parents))


def _read(path: Path) -> int | None:
    try:
        limit = int(path.read_text())
    except (OSError, ValueError):  # `max` is no number
        return None
    return limit if limit < _NONE else None


def used() -> int:
    """The memory that this process uses, in bytes; 0 where the system does not say."""
    try:
        return int((_SELF / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def hoard_nothing() -> None:
    """Lets the C library give large pieces back as they are freed. By itself it would keep whatever
    is no larger than the largest so far, in pieces for each thread: after 200 requests of 0.8 MB
    100 MiB that nobody uses, which count against the limit all the same."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Gives memory that nobody uses back to the system, where the C library can."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


class Guard:
    """Whether the process is near its `limit` (None: it has none), by a look now and then."""

    def __init__(
        self,
        limit: int | None,
        *,
        used: Callable[[], int] = used,
        give_back: Callable[[], None] = give_back,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = None if limit is None else limit * TIGHT
        self._used = used
        self._give_back = give_back
        self._clock = clock
        self._due = 0.0
        self._tight = False

    def tight(self) -> bool:
        """Whether nothing more should be taken on."""
        if self._most is not None and (now := self._clock()) >= self._due:
            self._tight = self._is_tight(self._most)
            self._due = now + (TIGHT_S if self._tight else LOOK_S)
        return self._tight

    def _is_tight(self, most: float) -> bool:
        if self._used() <= most:
            return False
        self._give_back()  # what was freed stays with the process, and would keep it shut
        return self._used() > most
