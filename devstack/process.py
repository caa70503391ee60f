"""One child of the stack: started, heard, started again when it dies, stopped for good."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from devstack import keeper
from devstack.output import Lines, Output
from devstack.state import Refused

FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 10.0
STEADY_S: Final = 30.0
"""After so long alive a death is a new one: the back-off starts over."""
TRIES: Final = 3
"""A process that dies so often before it was ever ready will not become so."""
BAD_SETTINGS: Final = 2
"""The exit status of a service that the operator must set otherwise."""


class Keeper:
    """Our end of the keeper process; see `devstack.keeper`."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it, in a session of its own: what ends ours must not reach it."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(Path(keeper.__file__)),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def keep(self, pid: int, number: int) -> None:
        """Tells it of a group to end by a signal, or with 0 of one that has ended."""
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(f"{pid} {number}\n".encode())

    async def stop(self) -> None:
        """Lets it end what is left, and go."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            await self._process.wait()


class Child:
    """A process that is kept running.

    `environment` is asked for at each start; `stop_signal` asks it to end; `prepare` runs in
    the child before the program.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Callable[[], Mapping[str, str]],
        output: Output,
        keeper: Keeper,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self._command = command
        self._environment = environment
        self._output = output
        self._keeper = keeper
        self._stop_signal = stop_signal
        self._prepare = prepare
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    def __repr__(self) -> str:
        pid = self._process.pid if self._process else None
        return f"<{self.name} pid={pid} ready={self.ready.is_set()}>"

    async def keep(self) -> None:
        """Runs it until `stop`, starting it again whenever it dies.

        Raises Refused where it cannot be started, or dies TRIES times before it was ready.
        """
        delay, deaths = FIRST_DELAY_S, 0
        while not self._stopping:
            began = time.monotonic()
            status = await self.run()
            if self._stopping:
                return
            if not self.ready.is_set():
                deaths += 1
                if status == BAD_SETTINGS or deaths == TRIES:
                    raise Refused(f"{self.name} cannot start ({ending(status)}): its lines say why")
            if time.monotonic() - began > STEADY_S:
                delay = FIRST_DELAY_S
            self._output.say(
                f"{self.name} died ({ending(status)}); starting it again in {delay:g} s"
            )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_S)

    async def run(self) -> int:
        """Runs it once; returns its exit status, negative for the signal that ended it."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._prepare,
            )
        except OSError as error:
            raise Refused(f"{self.name} cannot be run: {error.strerror}") from None
        self._process = process
        self._keeper.keep(process.pid, self._stop_signal)
        hearing = asyncio.create_task(self._hear(process))
        status = await process.wait()
        self._signal(signal.SIGKILL)  # whatever it may have left behind in its group
        self._keeper.keep(process.pid, 0)
        # Its last words; a process that escaped the group may hold the pipe open.
        await asyncio.wait([hearing], timeout=1)
        hearing.cancel()
        return status

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for above
        lines = Lines()
        while data := await process.stdout.read(65_536):
            for line in lines.feed(data):
                self._output.line(self.name, line)
        for line in lines.close():
            self._output.line(self.name, line)

    async def stop(self, patience: float) -> None:
        """Asks it to end, and forces it after `patience` seconds."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        self._signal(self._stop_signal)
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            self._output.say(f"{self.name} did not end in {patience:g} s; it is killed")
            self._signal(signal.SIGKILL)
            await process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def ending(status: int) -> str:
    """Returns how a process ended, in words."""
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
