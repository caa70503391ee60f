"""Those who have signed in, and send what one socket can: 32 of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final
from uuid import uuid4

from bench.siege.attack import Attack, Hand, told
from bench.siege.wire import Line, device, frame, hello, said

_MIB: Final = 2**20
PACE_S: Final = 0.02
"""Between two batches of a socket's: with 64 frames each, 3,200 frames a second, 32 times what a
socket may send. Faster they would only take the processor from those who read what is told."""

_PINGS: Final = said(type="ping", nonce="n") * 64
_UNKNOWN: Final = said(type="open_sesame", what="x" * 200) * 64
_WIDE: Final = frame((b'{"type":"ping","x":[' + b"[]," * (_MIB // 3 - 20) + b"[]]}")[:_MIB])
_DEEP: Final = frame(
    b'{"type":"ping","x":' + b"[" * (_MIB // 2 - 40) + b"]" * (_MIB // 2 - 40) + b"}"
)
_WORDS: Final = frame(b'{"type":"ping","x":[' + b'"a\\u00e9",' * 100_000 + b"1]}")


def pings() -> Iterator[tuple[bytes, int]]:
    while True:
        yield _PINGS, 64


def unknown_frames() -> Iterator[tuple[bytes, int]]:
    while True:
        yield _UNKNOWN, 64


def arrays() -> Iterator[tuple[bytes, int]]:
    """Wide, deep, and full of strings that have to be read."""
    while True:
        yield from ((_WIDE, 1), (_DEEP, 1), (_WORDS, 1))


def cancels() -> Iterator[tuple[bytes, int]]:
    """Requests that are stopped as soon as they were made."""
    while True:
        asked = str(uuid4())
        yield (
            said(type="home_request", request_id=asked, message="list my tasks")
            + said(type="cancel", request_id=asked) * 8,
            9,
        )


def mutations() -> Iterator[tuple[bytes, int]]:
    """Changes that its other devices have to be told of."""
    data = {"title": "x" * 10_000}
    same = {"type": "mutation", "op": "update", "entity": "task", "id": "t1", "data": data}
    while True:
        yield b"".join(said(**same, mutation_id=str(uuid4())) for _ in range(8)), 8


def results() -> Iterator[tuple[bytes, int]]:
    """Results of calls that nobody made."""
    while True:
        yield said(type="tool_result", call_id=str(uuid4()), result={"items": []}) * 16, 16


def requests() -> Iterator[tuple[bytes, int]]:
    while True:
        asked = str(uuid4())
        yield said(type="home_request", request_id=asked, message="what is overdue?"), 1


async def flood(hand: Hand, frames: Callable[[], Iterator[tuple[bytes, int]]]) -> None:
    """Sends until the socket is closed, no faster than it is taken; then comes again."""
    async with device(hand, f"flooder-{hand.source}") as line:
        if line is None:
            return
        # A socket that was closed while we wrote says no more than that.
        with contextlib.suppress(ConnectionError):
            for data, count in frames():
                await line.send(data, count)
                await asyncio.sleep(PACE_S)
                if line.reader.at_eof():
                    break
        await asyncio.sleep(0.2)


async def changes(hand: Hand) -> None:
    """Mutations, with two devices beside that hear of them."""
    async with device(hand, "hearer-1"), device(hand, "hearer-2"):
        await flood(hand, mutations)


async def deaf(hand: Hand) -> None:
    """Asks for all it can get, and reads nothing of it until it is closed."""
    assert hand.account is not None
    async with await Line.open(hand, small=True) as line:
        if not await line.upgrade(hand.account.token):
            return
        await line.send(hello(f"deaf-{hand.source}"), 0)
        for _ in range(8):
            asked = "rehearse a long answer of 200000 words"
            await line.send(said(type="home_request", request_id=str(uuid4()), message=asked))
        await asyncio.sleep(20)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                await line.listen()


_TOO_FAST: Final = told("rate_limited", "close 4529")
_BUSY: Final = told("too_many_requests", "overloaded")

ATTACKS: Final = tuple(
    Attack(name, strike, codes, loops=4, signed_in=True, takes_s=30)
    for name, strike, codes in (
        ("pings in a loop", partial(flood, frames=pings), _TOO_FAST),
        ("unknown frames", partial(flood, frames=unknown_frames), _TOO_FAST | told("unknown_type")),
        ("1 MiB of arrays a frame", partial(flood, frames=arrays), told("invalid_frame")),
        ("never reads", deaf, told("close 4508", "cut", "too_many_requests", "close 4529")),
        ("requests and cancels", partial(flood, frames=cancels), _TOO_FAST | _BUSY),
        ("mutations", changes, _TOO_FAST),
        (
            "results of unknown calls",
            partial(flood, frames=results),
            _TOO_FAST | told("tool_call_unknown"),
        ),
        (
            "requests in a loop",
            partial(flood, frames=requests),
            _TOO_FAST | _BUSY,
        ),
    )
)
