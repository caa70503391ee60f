"""A WebSocket client that sends what it likes, over asyncio's streams.

Frames are masked with zeros, which is a mask: what is sent is made once and costs nothing to
send again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bench.siege.attack import Hand

TEXT: Final = 1
CONTINUATION: Final = 0
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

PATH: Final = "/api/v1/ws/device"
WAIT_S: Final = 60.0
"""So long an attacker waits for an answer before it gives up."""


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """A frame of a client's."""
    head = bytes([opcode | (0x80 if fin else 0)])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 2**16:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def frames(heard: bytearray) -> list[tuple[int, bytes]]:
    """The whole frames of a server at the head of what was heard, which they leave: opcodes and
    payloads."""
    found, at = [], 0
    while len(heard) - at >= 2:
        size, begins = heard[at + 1] & 0x7F, at + 2
        if size > 125:
            begins += 2 if size == 126 else 8
            size = int.from_bytes(heard[at + 2 : begins], "big")
        if len(heard) < begins + size:
            break
        found.append((heard[at] & 0x0F, bytes(heard[begins : begins + size])))
        at = begins + size
    del heard[:at]
    return found


def said(**fields: Any) -> bytes:
    """A frame of the protocol's."""
    return frame(orjson.dumps(fields))


def hello(device_id: str, **more: Any) -> bytes:
    return said(type="device_hello", device_id=device_id, protocol=3, **more)


@dataclass(slots=True)
class Line:
    """A connection to the edge. `tool`: from a call to the frame that answers it."""

    hand: Hand
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tool: Callable[[dict[str, Any]], bytes] | None = None

    @classmethod
    async def open(cls, hand: Hand, *, small: bool = False) -> Line:
        """Connects. `small`: takes in next to nothing before it is read."""
        sock = socket.socket()
        sock.setblocking(False)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            sock.bind((hand.source, 0))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(WAIT_S):
                await loop.sock_connect(sock, (hand.host, hand.port))
        except BaseException:
            sock.close()
            raise
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if small else 2**16)
        return cls(hand, reader, writer)

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes, count: int = 1) -> None:
        """Sends, once the server has taken what was sent before; counts frames or requests."""
        self.writer.write(data)
        async with asyncio.timeout(WAIT_S):
            await self.writer.drain()
        self.hand.sent(count)

    async def status(self) -> int:
        """The status of an HTTP answer, which counts as told; the body's error, too."""
        async with asyncio.timeout(WAIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            found = int(head.split(b" ", 2)[1])
            if found >= 400:
                self.hand.told(await self._code(head) or str(found))
        return found

    async def _code(self, head: bytes) -> str:
        lines = head.decode("latin-1").lower().split("\r\n")
        sizes = [int(line[15:]) for line in lines if line.startswith("content-length:")]
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            return str(orjson.loads(await self.reader.readexactly(sum(sizes)))["error"]["code"])
        return ""

    async def upgrade(self, token: str = "") -> bool:
        """Asks for a WebSocket; whether it was given."""
        head = f"GET {PATH} HTTP/1.1\r\nHost: {self.hand.host}\r\nConnection: Upgrade\r\n"
        head += "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        head += "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        self.writer.write(f"{head}\r\n".encode())
        return await self.status() == 101

    async def listen(self) -> None:
        """Reads until the socket closes, and counts what it is told; answers pings."""
        heard = bytearray()
        try:
            while data := await self.reader.read(2**16):
                heard += data
                for opcode, payload in frames(heard):
                    if opcode == PING:
                        self.writer.write(frame(payload, PONG))
                    elif opcode == CLOSE:
                        self.hand.told(f"close {int.from_bytes(payload[:2], 'big')}")
                        return
                    elif opcode == TEXT:
                        self._told(payload)
        except OSError:
            pass
        self.hand.told("cut")

    def _told(self, payload: bytes) -> None:
        if self.tool is not None and payload.startswith(b'{"type":"tool_call"'):
            self.writer.write(self.tool(orjson.loads(payload)))
        if not payload.startswith((b'{"type":"error"', b'{"type":"stream_end"')):
            return
        heard = orjson.loads(payload)
        code = heard.get("code") or (heard.get("error") or {}).get("code")
        if code:
            self.hand.told(code)
        elif heard["type"] == "stream_end":
            self.hand.served()


@contextlib.asynccontextmanager
async def device(
    hand: Hand, device_id: str, tool: Callable[[dict[str, Any]], bytes] | None = None
) -> AsyncIterator[Line | None]:
    """A signed-in socket that has said hello and hears what it is told; None where it was
    refused."""
    assert hand.account is not None
    async with await Line.open(hand) as line:
        if not await line.upgrade(hand.account.token):
            yield None
            return
        line.tool = tool
        await line.send(hello(device_id), 0)
        listening = asyncio.create_task(line.listen())
        try:
            yield line
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
