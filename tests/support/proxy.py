"""A bad network on purpose: a TCP proxy that can cut, stall, throttle and reset.

async with FaultProxy("127.0.0.1", port) as proxy:
    connect to 127.0.0.1:{proxy.port}
    proxy.cut()        # every connection ends at once, as when a process dies (FIN)
    proxy.reset()      # the same with RST
    proxy.stall()      # bytes wait, both ways; the sockets look alive
    proxy.flow()       # on again; what waited goes through
    proxy.throttle(1)  # bytes a second towards the client
    await proxy.duplicate()  # all that came from the clients comes a second time, beside
    proxy.refuse()     # new connections end at once, until flow()
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

REMEMBERED: Final = 256


@dataclass(eq=False)
class _Connection:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    """What the client sent, to be said again."""

    def close(self, *, hard: bool) -> None:
        for writer in (self.near, self.far):
            if hard:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort() if hard else writer.close()


class FaultProxy:
    """Stands before `host:port`. All faults act on every connection of the moment.

    `window`: how many bytes the kernel may hold for it on the far side; left out, that is
    tens of megabytes, which a server then believes to have arrived.
    """

    def __init__(self, host: str, port: int, *, window: int | None = None) -> None:
        self._target = (host, port)
        self._window = window
        self._connections: set[_Connection] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._accepting: set[asyncio.Task[Any]] = set()
        self._copies: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._refusing = False
        self._bytes_per_second: float | None = None
        self._server: asyncio.Server | None = None
        self.accepted = 0
        """How many connections have come so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server
        self._server.close()
        tasks = [task for connection in self._connections for task in connection.tasks]
        for task, writer in self._copies.items():
            writer.transport.abort()
            tasks.append(task)
        self.reset()
        for task in self._accepting:  # one that is still dialling has no connection yet
            task.cancel()
        await asyncio.gather(*tasks, *self._accepting, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def open(self) -> int:
        """How many connections stand."""
        return len(self._connections)

    def cut(self) -> None:
        self._end(hard=False)

    def reset(self) -> None:
        self._end(hard=True)

    def _end(self, *, hard: bool) -> None:
        for connection in tuple(self._connections):
            for task in connection.tasks:
                task.cancel()
            connection.close(hard=hard)

    def stall(self) -> None:
        self._flowing.clear()

    def throttle(self, bytes_per_second: float | None) -> None:
        self._bytes_per_second = bytes_per_second

    async def duplicate(self) -> None:
        """As a network does that delivers twice: each connection of the moment has a copy, in
        which the client says again what it has said. Nobody reads what the copy is answered."""
        for connection in tuple(self._connections):
            reader, writer = await self._dial()
            upgrade, *frames = tuple(connection.said)
            writer.write(upgrade)
            await reader.readuntil(b"\r\n\r\n")
            writer.writelines(frames)
            await writer.drain()
            self._copies[asyncio.create_task(self._ignore(reader))] = writer

    async def _ignore(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(16 * 1024):
                pass

    def refuse(self) -> None:
        self._refusing = True

    def flow(self) -> None:
        self._refusing = False
        self._bytes_per_second = None
        self._flowing.set()

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task
        self._accepting.add(task)
        try:
            if not self._refusing:
                await self._carry(near_reader, near)
        except OSError:
            pass  # there is nobody behind
        finally:
            self._accepting.discard(task)
            if not near.is_closing():
                near.transport.abort()

    async def _carry(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await self._dial()
        connection = _Connection(near, far)
        self._connections.add(connection)
        connection.tasks = [
            asyncio.create_task(self._pump(near_reader, far, said=connection.said)),
            asyncio.create_task(self._pump(far_reader, near)),
        ]
        await asyncio.wait(connection.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in connection.tasks:
            task.cancel()
        await asyncio.gather(*connection.tasks, return_exceptions=True)
        connection.close(hard=False)
        self._connections.discard(connection)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._window is None:
            return await asyncio.open_connection(*self._target)
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)
        try:
            await asyncio.get_running_loop().sock_connect(made, self._target)
        except BaseException:
            made.close()
            raise
        return await asyncio.open_connection(sock=made)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        said: list[bytes] | None = None,
    ) -> None:
        """Carries one direction; `said` keeps what the client says, up to REMEMBERED pieces."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(16 * 1024):
                if said is not None and len(said) < REMEMBERED:
                    said.append(data)
                await self._flowing.wait()
                if said is None and self._bytes_per_second is not None:
                    await self._trickle(data, writer)
                else:
                    writer.write(data)
                await writer.drain()

    async def _trickle(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for index in range(len(data)):
            if self._bytes_per_second is None:  # on again: the rest at once
                writer.write(data[index:])
                return
            writer.write(data[index : index + 1])
            await writer.drain()
            await asyncio.sleep(1 / self._bytes_per_second)
