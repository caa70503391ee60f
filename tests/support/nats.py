"""A real NATS server on loopback, to stop, freeze and start again."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support import ports

START_S: Final = 10.0


class Nats:
    """`url` stays the same over restarts. `options`: more of the command line."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.port = ports.row(1)
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts it, and returns once it listens."""
        program = Path(sys.executable).with_name("nats-server")
        self._process = await asyncio.create_subprocess_exec(
            program,
            "-a",
            "127.0.0.1",
            "-p",
            str(self.port),
            *self._options,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(START_S):
            while not await self._listens():
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Kills it; nothing is said to its clients."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It answers nobody, and its sockets stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def nats(*options: str) -> AsyncIterator[Nats]:
    """A running server, until left."""
    server = Nats(*options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
