"""Senders without an end: of fragments, of a message, of headers, of a body. Raw sockets."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from yarl import URL

from tests.support.edge_stack import EdgeStack, edge_stack
from tests.unit.edge.gateway.test_fragments import MORE, PING, TEXT, frame

HELLO = json.dumps({"type": "device_hello", "device_id": "laptop"}).encode()


class Raw:
    """A TCP connection, and what comes of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send_for_ever(self, piece: bytes, pause_s: float = 0.0) -> None:
        with suppress(ConnectionError):
            while True:
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.sleep(pause_s)

    async def closed_with(self) -> int:
        """The code of the close frame that comes."""
        async with asyncio.timeout(10):
            while True:
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self.reader.readexactly(2), "big")
                payload = await self.reader.readexactly(size)
                if first == 0x88:
                    return int.from_bytes(payload[:2], "big")

    async def cut_off(self) -> None:
        """The connection ends, by a reset or without."""
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass


@asynccontextmanager
async def connected(stack: EdgeStack) -> AsyncIterator[Raw]:
    url = URL(stack.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def upgraded(stack: EdgeStack, *, hello: bool = True) -> AsyncIterator[Raw]:
    async with connected(stack) as raw:
        key = base64.b64encode(os.urandom(16)).decode()
        raw.writer.write(
            f"GET /api/v1/ws/device HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer {stack.token()}\r\n\r\n".encode()
        )
        assert b" 101 " in (await raw.reader.readuntil(b"\r\n\r\n")).splitlines()[0]
        if hello:
            mask = frame(TEXT, bytes(byte ^ b"mask"[at % 4] for at, byte in enumerate(HELLO)))
            raw.writer.write(mask)
        yield raw


@asynccontextmanager
async def others_are_served(stack: EdgeStack) -> AsyncIterator[None]:
    """Before, and after, somebody else's pings are answered."""
    other = await stack.device("other", user_id="another")
    yield
    await other.send("ping")
    await other.expect("pong")
    await other.close()


@pytest.mark.parametrize("hello", [True, False])
async def test_fragments_of_nothing_without_an_end_are_closed(hello: bool) -> None:
    async with (
        edge_stack() as stack,
        others_are_served(stack),
        upgraded(stack, hello=hello) as raw,
    ):
        raw.writer.write(frame(TEXT, last=False))
        flood = asyncio.create_task(raw.send_for_ever(frame(MORE, last=False) * 1_000))
        assert await raw.closed_with() == 4529
        await raw.cut_off()
        await flood


async def test_pings_between_the_fragments_make_no_message_of_them() -> None:
    async with edge_stack() as stack, others_are_served(stack), upgraded(stack) as raw:
        raw.writer.write(frame(TEXT, last=False))
        piece = (frame(MORE, last=False) * 100) + frame(PING, b"still here")
        flood = asyncio.create_task(raw.send_for_ever(piece))
        assert await raw.closed_with() == 4529
        await raw.cut_off()
        await flood


@pytest.mark.parametrize(
    "piece",
    [frame(MORE, last=False), frame(MORE, b"x", last=False), b"x"],
    ids=["empty fragments", "fragments of a byte", "bytes of a frame"],
)
async def test_a_message_that_drips_is_not_waited_for(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.gateway.websocket.WHOLE_S", 0.5)
    async with edge_stack() as stack, others_are_served(stack), upgraded(stack) as raw:
        begun = frame(TEXT, b"x" * 60_000)[:20] if piece == b"x" else frame(TEXT, last=False)
        raw.writer.write(begun)
        drip = asyncio.create_task(raw.send_for_ever(piece, 0.02))
        assert await raw.closed_with() == 4529
        await raw.cut_off()
        await drip


async def test_a_message_in_many_fragments_is_a_message(stack: EdgeStack) -> None:
    device = await stack.device()
    text = json.dumps({"type": "ping", "nonce": "n" * 3_000}).encode()
    writer = device.ws._writer
    assert writer is not None
    for at, byte in enumerate(text):
        last = at == len(text) - 1
        opcode = MORE if at else TEXT
        masked = bytes([byte ^ b"mask"[0]])
        writer.transport.write(frame(opcode, masked, last=last))
    await device.expect("pong", nonce="n" * 3_000)


async def test_a_mib_of_headers_is_not_taken() -> None:
    async with edge_stack() as stack, others_are_served(stack), connected(stack) as raw:
        answer = asyncio.create_task(raw.reader.readuntil(b"\r\n\r\n"))
        raw.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        with suppress(ConnectionError):
            for number in range(127):
                raw.writer.write(f"X-{number}: {'x' * 8_000}\r\n".encode())
                await raw.writer.drain()
                await asyncio.sleep(0.005)
        assert b" 431 " in (await asyncio.wait_for(answer, 5)).splitlines()[0]


async def test_a_large_body_behind_its_headers_counts_for_none_of_them(stack: EdgeStack) -> None:
    message = {"message": "x" * 30_000, "conversation_history": []}
    many = [{"role": "user", "content": "y" * 1_000}] * 150
    status, _ = await stack.call(
        "POST", "/api/v1/chat", json={**message, "conversation_history": many}
    )
    assert status == 200


async def test_a_body_that_nobody_asked_for_is_not_read_for_ever() -> None:
    async with edge_stack() as stack, others_are_served(stack), connected(stack) as raw:
        raw.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        drip = asyncio.create_task(raw.send_for_ever(b"x" * 65_536))
        head = await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 200 " in head.splitlines()[0]
        async with asyncio.timeout(15):
            await raw.cut_off()
        await drip
