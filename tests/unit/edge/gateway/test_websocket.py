"""Closes that arrive, whatever the client is still sending (PROTOCOL §1, §5)."""

import asyncio
import gc
import os
import struct
import time

import pytest
from aiohttp.http import WSMessageTextBytes
from yarl import URL

from edge.rest.common import EDGE
from tests.support.edge_stack import EdgeStack, edge_stack

MIB = 1024 * 1024
TEXT, CLOSE = 0x81, 0x88


class Raw:
    """A client that says exactly what it is told to, and reads what was sent back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, stack: EdgeStack) -> "Raw":
        url = URL(stack.url)
        self = cls(*await asyncio.open_connection(url.host, url.port))
        self.writer.write(
            f"GET /api/v1/ws/device HTTP/1.1\r\nHost: {url.host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            f"Authorization: Bearer {stack.token()}\r\n\r\n".encode()
        )
        assert b" 101 " in await self.reader.readuntil(b"\r\n\r\n")
        return self

    def head(self, opcode: int, size: int) -> None:
        """The head of a frame; the mask is zeros, which change nothing."""
        if size < 126:
            self.writer.write(bytes([opcode, 0x80 | size]) + bytes(4))
        else:
            self.writer.write(bytes([opcode, 0xFF]) + struct.pack(">Q", size) + bytes(4))

    async def close_code(self) -> int:
        """The code of the first close frame. Raises ConnectionError, or EOFError: that is 1006."""
        while True:
            opcode, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            payload = await self.reader.readexactly(size)
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize("mib", [2, 4, 8])
async def test_a_frame_that_is_too_large_is_told_1009(stack: EdgeStack, mib: int) -> None:
    for _ in range(5):
        device = await stack.device()
        # The close comes while this is being sent; whoever reads afterwards finds it.
        await device.send("ping", nonce="x" * (mib * MIB))
        assert await device.closed() == 1009


async def test_who_sends_slowly_is_told_too(stack: EdgeStack) -> None:
    client = await Raw.open(stack)
    client.head(TEXT, 2 * MIB)
    for _ in range(8):
        client.writer.write(os.urandom(MIB // 4))
        await client.writer.drain()
        await asyncio.sleep(0.05)  # pacing
    async with asyncio.timeout(5):
        assert await client.close_code() == 1009
    client.writer.close()


async def test_who_never_stops_sending_is_cut_off(stack: EdgeStack) -> None:
    client = await Raw.open(stack)
    client.head(TEXT, 1 << 40)
    sent, began = 0, time.monotonic()
    with pytest.raises(ConnectionError):
        while sent < 1024 * MIB:
            client.writer.write(bytes(MIB))
            await client.writer.drain()
            sent += MIB
    assert sent <= 96 * MIB  # 64 MiB, and what the buffers of both ends hold
    assert time.monotonic() - began < 10
    client.writer.close()


async def test_frames_that_break_the_protocol_are_told_1002(stack: EdgeStack) -> None:
    client = await Raw.open(stack)
    client.head(0x83, 2 * MIB)  # no such opcode
    client.writer.write(bytes(2 * MIB))
    await client.writer.drain()
    async with asyncio.timeout(5):
        assert await client.close_code() == 1002
    client.writer.close()


async def test_a_socket_that_closes_leaves_nothing_behind() -> None:
    async with edge_stack() as stack:
        await stack.catalogued()
        before = len(asyncio.all_tasks())
        for _ in range(3):
            device = await stack.device()
            await device.send("ping", nonce="x" * (2 * MIB))
            assert await device.closed() == 1009
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.01)


def _large_messages() -> int:
    return sum(
        isinstance(each, WSMessageTextBytes) and len(each.data) > MIB // 2
        for each in gc.get_objects()
    )


async def test_what_came_during_a_close_is_kept_no_longer_than_the_socket(
    stack: EdgeStack,
) -> None:
    gc.collect()
    gc.disable()  # it comes seldom, and what waits for it counts against the limit of memory
    try:
        client = await Raw.open(stack)
        refused = b'{"type":"device_hello","device_id":""}'
        client.head(TEXT, len(refused))
        client.writer.write(refused)
        async with asyncio.timeout(5):
            assert await client.close_code() == 4400
        client.head(TEXT, MIB - 100)
        client.writer.write(b"x" * (MIB - 100))
        await client.writer.drain()
        client.writer.close()
        await client.writer.wait_closed()
        connections = stack.app[EDGE].devices.arriving
        async with asyncio.timeout(10):
            while connections or _large_messages():
                await asyncio.sleep(0.05)
    finally:
        gc.enable()
