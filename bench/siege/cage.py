"""Holds processes to a memory limit, as a container does, where there is no container.

`open_cage()` takes a cgroup (version 1 or 2) below or beside this process's own, so that what
it is held to itself holds for them, too; there the kernel ends who passes its limit. Where no
cgroup can be made a watcher looks four times a second, and kills.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.stack import alive, family

_ROOT: Final = Path("/sys/fs/cgroup")
_LOOK_S: Final = 0.25
_EMPTY_S: Final = 5.0


class Cage(ABC):
    """`way`: how the limits are held, in words."""

    way: str

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._peaks: dict[str, int] = {}
        self._cpu_s: dict[str, float] = {}

    def add(self, name: str, limit: int, pid: int) -> None:
        """Holds a process, and what it starts, to so many bytes from now on."""
        self._limits[name], self._pids[name] = limit, pid
        self._hold(name, limit, pid)

    @property
    def names(self) -> list[str]:
        return list(self._pids)

    def alive(self, name: str) -> bool:
        return alive(self._pids[name])

    def look(self) -> None:
        """Notes what each uses now: the kernel knows the peak of one process, of several nobody."""
        for name, pid in self._pids.items():
            now = peak(pid) if len(family(pid)) == 1 else used(pid)
            self._peaks[name] = max(self._peaks.get(name, 0), now)
            spent = sum(cpu_s(each) for each in family(pid))
            self._cpu_s[name] = max(self._cpu_s.get(name, 0.0), spent)

    def peak(self, name: str) -> int:
        """The most that it used, in bytes, as far as was looked."""
        return self._peaks.get(name, 0)

    def limit(self, name: str) -> int:
        return self._limits[name]

    def cpu_s(self, name: str) -> float:
        """The time that it has had a processor for, in seconds, as far as was looked."""
        return self._cpu_s.get(name, 0.0)

    @abstractmethod
    def killed(self, name: str) -> bool:
        """Whether one of its processes was ended for its memory."""

    @abstractmethod
    def close(self) -> None:
        """Lets go; what was held must have ended."""

    @abstractmethod
    def _hold(self, name: str, limit: int, pid: int) -> None: ...


class Groups(Cage):
    """A cgroup for each. `parent`: where they are made."""

    def __init__(self, parent: Path, version: int) -> None:
        super().__init__()
        self.way = f"by the kernel (cgroup v{version})"
        self._parent = parent
        self._version = version
        self._made: dict[str, Path] = {}

    def _hold(self, name: str, limit: int, pid: int) -> None:
        self.make(name, limit)
        for each in family(pid):
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                (self._made[name] / "cgroup.procs").write_text(str(each))

    def make(self, name: str, limit: int) -> None:
        """A group of that limit, with nobody in it. Raises OSError where none can be made."""
        group = self._parent / f"siege-{os.getpid()}-{name}"
        group.mkdir()
        self._made[name] = group
        if self._version == 1:
            (group / "memory.limit_in_bytes").write_text(str(limit))
            with contextlib.suppress(OSError):  # where swap is not counted
                (group / "memory.memsw.limit_in_bytes").write_text(str(limit))
        else:
            (group / "memory.max").write_text(str(limit))
            with contextlib.suppress(OSError):
                (group / "memory.swap.max").write_text("0")

    def killed(self, name: str) -> bool:
        told = "memory.oom_control" if self._version == 1 else "memory.events"
        found = re.search(r"^oom_kill (\d+)$", (self._made[name] / told).read_text(), re.MULTILINE)
        return found is not None and int(found[1]) > 0

    def close(self) -> None:
        end = time.monotonic() + _EMPTY_S
        for group in self._made.values():
            while group.exists():
                try:
                    group.rmdir()
                except OSError:  # the last of it is still going
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.05)


class Watch(Cage):
    """A thread that looks, and kills who uses too much."""

    way = f"by a watcher, every {_LOOK_S:g} s"

    def __init__(self) -> None:
        super().__init__()
        self._ended: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _hold(self, name: str, limit: int, pid: int) -> None:
        """Nothing more: it is looked at."""

    def killed(self, name: str) -> bool:
        return name in self._ended

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            for name, pid in list(self._pids.items()):
                if alive(pid) and used(pid) > self._limits[name]:
                    self._ended.add(name)
                    for each in family(pid):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(each, signal.SIGKILL)


@contextmanager
def open_cage(*, kernel: bool = True) -> Iterator[Cage]:
    """The best that this machine allows; without the `kernel` a watcher."""
    cage = (_groups() if kernel else None) or Watch()
    try:
        yield cage
    finally:
        cage.close()


def _groups() -> Groups | None:
    for version, parent in _parents(Path("/proc/self/cgroup").read_text()):
        trial = Groups(parent, version)
        try:
            trial.make("trial", 2**20)
        except OSError:
            continue
        finally:
            trial.close()
        return Groups(parent, version)
    return None


def _parents(text: str, root: Path = _ROOT) -> Iterator[tuple[int, Path]]:
    """Where groups may be made, by what /proc/self/cgroup says.

    In version 1 below our own; in version 2, where only leaves have processes, beside it.
    """
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield 1, root / "memory" / path.lstrip("/")
        elif not controllers:
            own = root / path.lstrip("/")
            yield 2, own if own == root else own.parent


def used(pid: int) -> int:
    """What a process and those below it use, in bytes; what they share counts once."""
    return sum(_field(each, "smaps_rollup", "Pss") for each in family(pid))


def peak(pid: int) -> int:
    """The most that a process used by itself at any time, in bytes."""
    return _field(pid, "status", "VmHWM")


def cpu_s(pid: int) -> float:
    """The time that a process has had a processor for, in seconds."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except (OSError, ValueError):  # it has ended
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _field(pid: int, name: str, key: str) -> int:
    try:
        text = Path(f"/proc/{pid}/{name}").read_text()
    except OSError:  # it has ended
        return 0
    found = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
