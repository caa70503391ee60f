"""As many sockets as the edge has doors, each of somebody who has signed in."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Final
from uuid import uuid4

import orjson

from bench.siege.attack import Attack, Hand, told
from bench.siege.wire import PATH, PONG, frame, hello

BEGINS: Final = 1 / 3
"""When so much of the siege is over; from then on nobody new can be sure to get in."""

_AT_ONCE: Final = 50
"""Sockets that are opened together, twice a second."""

_FULL: Final = 100
"""Sockets that were refused, after which it waits for doors to open again."""


class Sitter(asyncio.Protocol):
    """A socket that says hello, answers the heartbeat, and stays."""

    def __init__(self, hand: Hand, token: str) -> None:
        self._hand = hand
        self._token = token
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET {PATH} HTTP/1.1\r\nHost: {self._hand.host}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._open:
            self._answered(data, self._transport)
        elif data[0] & 0x0F == 9:
            self._transport.write(frame(data[2:], PONG))
        elif data[0] & 0x0F == 8:
            self._hand.told(f"close {int.from_bytes(data[2:4], 'big')}")

    def _answered(self, data: bytes, transport: asyncio.Transport) -> None:
        if data.startswith(b"HTTP/1.1 101"):
            self._open = True
            self._hand.served()
            transport.write(hello(f"sitter-{uuid4()}"))
        elif b"\r\n\r\n" in data:
            try:
                told_ = orjson.loads(data.partition(b"\r\n\r\n")[2])["error"]["code"]
            except (orjson.JSONDecodeError, KeyError):
                told_ = data[9:12].decode()
            self._hand.told(told_)
            transport.abort()


async def fill(hand: Hand) -> None:
    """Opens sockets at a steady rate until none is taken in, and keeps them."""
    opened: list[asyncio.Transport] = []
    try:
        for number in count():
            first = number * _AT_ONCE
            opened = [each for each in opened if not each.is_closing()]
            opened += await asyncio.gather(*(_open(hand, first + n) for n in range(_AT_ONCE)))
            await asyncio.sleep(5 if hand.tally["overloaded"] > _FULL else 0.5)
    finally:
        for each in opened:
            each.abort()


async def _open(hand: Hand, number: int) -> asyncio.Transport:
    """One socket. Each account comes from an address of its own."""
    who = number % len(hand.tokens)
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: Sitter(hand, hand.tokens[who]),
        hand.host,
        hand.port,
        local_addr=(f"127.9.{who // 250}.{who % 250 + 1}", 0),
    )
    hand.sent()
    return transport


ATTACKS: Final = (
    Attack("sockets up to the ceiling", fill, told("overloaded"), begins=BEGINS, takes_s=100),
)
