"""Those without an account: first frames, headers and bodies that are too much, or never end."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.siege.attack import Attack, Hand, told
from bench.siege.wire import CONTINUATION, TEXT, Line, frame, hello

_MIB: Final = 2**20
_HELLO: Final = hello("stranger", device_name="x" * (_MIB - 200))
_ARRAYS: Final = frame((b"[" + b"[]," * (_MIB // 3 - 2) + b"[]]")[:_MIB])
_OPENING: Final = frame(b'{"type":"device_hello","device_name":"', TEXT, fin=False)
_PIECE: Final = frame(b"x" * 512, CONTINUATION, fin=False)
_EMPTY: Final = frame(b"", CONTINUATION, fin=False) * 1024
_ENDLESS: Final = _MIB
"""So many empty fragments, or bytes of a header, one connection is sent at most."""
_BODY: Final = 4_000
_TOKEN: Final = "eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


async def _first(hand: Hand, data: bytes) -> None:
    """A socket whose first frame is this."""
    async with await Line.open(hand) as line:
        if await line.upgrade():
            await line.send(data)
            async with asyncio.timeout(20):
                await line.listen()


async def large_hello(hand: Hand) -> None:
    await _first(hand, _HELLO)


async def arrays(hand: Hand) -> None:
    await _first(hand, _ARRAYS)


async def bad_hello(hand: Hand) -> None:
    """A hello with a token that nobody signed; the header's next time."""
    if hand.strikes % 2:
        await _first(hand, hello("stranger", token=_TOKEN))
        return
    async with await Line.open(hand) as line:
        await line.upgrade(_TOKEN)
        hand.sent()


async def endless_hello(hand: Hand) -> None:
    """A hello in fragments that never ends, at a walk."""
    async with await Line.open(hand) as line, asyncio.timeout(60):
        if not await line.upgrade():
            return
        await line.send(_OPENING)
        listening = asyncio.create_task(line.listen())
        while not listening.done():
            await line.send(_PIECE)
            await asyncio.sleep(0.05)


async def empty_fragments(hand: Hand) -> None:
    """A message of empty fragments, as fast as they are taken."""
    async with await Line.open(hand) as line, asyncio.timeout(60):
        if not await line.upgrade():
            return
        await line.send(_OPENING)
        listening = asyncio.create_task(line.listen())
        for _ in range(_ENDLESS // 1024):
            if listening.done():
                return
            await line.send(_EMPTY, 1024)
        await listening


async def long_header(hand: Hand) -> None:
    """One header of 1 MiB, in pieces."""
    async with await Line.open(hand) as line, asyncio.timeout(60):
        line.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        answered = asyncio.create_task(line.status())
        for _ in range(_ENDLESS // 4096):
            if answered.done():
                break
            await line.send(b"x" * 4096)
        await answered


async def dripping_headers(hand: Hand) -> None:
    """Headers that come one by one, and never end."""
    async with await Line.open(hand) as line, asyncio.timeout(180):
        line.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        answered = asyncio.create_task(line.status())
        try:
            for number in range(_ENDLESS):
                if answered.done():
                    break
                await line.send(b"X-%d: y\r\n" % number)
                await asyncio.sleep(0.1)
            await answered
        except (OSError, asyncio.IncompleteReadError):
            hand.told("cut")


async def slow_body(hand: Hand) -> None:
    """A body of which each second a byte comes."""
    async with await Line.open(hand) as line, asyncio.timeout(180):
        line.writer.write(
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % _BODY
        )
        answered = asyncio.create_task(line.status())
        for _ in range(_BODY):
            if answered.done():
                break
            await line.send(b" ")
            await asyncio.sleep(1)
        await answered


async def large_body(hand: Hand) -> None:
    """1 MiB where 4 KiB are allowed."""
    async with await Line.open(hand) as line:
        line.writer.write(
            b"POST /api/v1/auth/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % _MIB
        )
        answered = asyncio.create_task(line.status())
        try:
            await line.send(b" " * _MIB)
        except ConnectionError:
            hand.sent()
        await answered


async def silence(hand: Hand) -> None:
    """A hundred sockets that say nothing."""

    async def sit() -> None:
        async with await Line.open(hand) as line:
            hand.sent()
            if await line.upgrade():
                await line.listen()

    async with asyncio.timeout(60):
        await asyncio.gather(*(sit() for _ in range(100)))


_CLOSED: Final = told("close 4400", "close 1009", "close 1008", "close 4529", "invalid_frame")

ATTACKS: Final = (
    Attack("a hello of 1 MiB", large_hello, _CLOSED),
    Attack("1 MiB of []", arrays, _CLOSED),
    Attack("a hello that never ends", endless_hello, _CLOSED | told("close 4408")),
    Attack("empty fragments", empty_fragments, _CLOSED | told("close 4408")),
    Attack("a header of 1 MiB", long_header, told("431", "invalid_frame", "cut")),
    Attack(
        "headers that drip",
        dripping_headers,
        told("431", "408", "invalid_frame", "cut"),
        takes_s=90,
    ),
    Attack("a body that drips", slow_body, told("deadline_exceeded", "408"), takes_s=45),
    Attack("tokens that nobody signed", bad_hello, told("unauthenticated", "close 4401")),
    Attack("a body of 1 MiB", large_body, told("invalid_frame", "413")),
    Attack(
        "sockets that say nothing",
        silence,
        told("close 4408", "rate_limited", "overloaded"),
        takes_s=30,
    ),
)
