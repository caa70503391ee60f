"""The real stack as processes, as `make run` runs it.

    with Running(tmp_path / "state") as stack:
        ...  # stack.origin, stack.pid_of("agent"), stack.log()

Where the model is to be scripted: `Running(folder, OPENAI_BASE_URL=server.url)`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

READY: Final = re.compile(
    r"^switchboard ready: (http://\S+)  (ws://\S+/api/v1/ws/device)$", re.MULTILINE
)
START_S: Final = 90.0
_OURS: Final = re.compile(
    r"^(?:OPENAI_|AGENT_|ROUTER_|EMBEDDING_|SUMMARY_|MODEL_|OTEL_|DATABASE_URL|MASTER_KEYS|AUTH_SIGNING|STATE_DIR|EDGE_|LISTEN_ADDR)|_ADDR$"
)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until a condition holds, or fails after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


def environment(state: Path, **settings: str) -> dict[str, str]:
    """This process's environment without settings of its own, and with the given ones."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.search(name)}
    return kept | {"STATE_DIR": str(state), "EDGE_PORT": "0"} | settings


class Running:
    """A stack in processes of its own; ended when left."""

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        self._log = state.with_name(f"{state.name}.log")
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "devstack"],
                env=environment(state, **settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        try:
            self.ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ready(self) -> None:
        """Waits for the line that says so."""
        until(
            lambda: bool(READY.search(self.log())) or self.process.poll() is not None,
            START_S,
            f"a ready stack\n{self.log()}",
        )
        assert READY.search(self.log()), self.log()

    def log(self) -> str:
        """Everything that it printed."""
        return self._log.read_text()

    @property
    def origin(self) -> str:
        """http://host:port of the edge."""
        found = READY.search(self.log())
        assert found is not None
        return found[1]

    def pid_of(self, name: str) -> int:
        """The process of a service, such as agent_svc; 0 where there is none."""
        for pid in children(self.process.pid):
            command = _read(pid, "cmdline").split("\0")
            if "-m" in command and command[command.index("-m") + 1 :][:1] == [name]:
                return pid
        return 0

    def stop(self) -> float:
        """Asks it to end; returns how long that took, in seconds."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return time.monotonic() - began


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(child) for child in _read(pid, f"task/{pid}/children").split()]


def family(pid: int) -> set[int]:
    """A process with all that descends from it."""
    return {pid}.union(*(family(child) for child in children(pid)))


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    status = _read(pid, "stat")
    return bool(status) and status.rpartition(")")[2].split()[0] not in ("Z", "X")


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
