"""What an attacker sends is what a server hears, and what a server says is heard."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from bench.siege.attack import SENT, SERVED, Hand
from bench.siege.wire import CONTINUATION, PATH, TEXT, Line, frame, frames
from tests.support.ports import free


def of_server(payload: bytes, opcode: int) -> bytes:
    """The same without a mask."""
    made = bytearray(frame(payload, opcode))
    made[1] &= 0x7F
    del made[-len(payload) - 4 : len(made) - len(payload)]
    return bytes(made)


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, 8, 9, 10]), st.binary(max_size=300)), max_size=5),
    st.integers(1, 50),
)
def test_frames_are_found_however_they_come(said: list[tuple[int, bytes]], piece: int) -> None:
    whole = b"".join(of_server(payload, opcode) for opcode, payload in said)
    heard, found = bytearray(), []
    for start in range(0, len(whole), piece):
        heard += whole[start : start + piece]
        found += frames(heard)
    assert found == said
    assert not heard


@asynccontextmanager
async def server(*answers: str, code: int = 4400) -> AsyncIterator[tuple[Hand, list[str]]]:
    """One that hears a message, gives these answers and closes."""
    heard: list[str] = []

    async def talk(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == "Bearer bad":
            told = {"error": {"code": "unauthenticated"}}
            return web.json_response(told, status=401)
        ws = web.WebSocketResponse(max_msg_size=2**21)
        await ws.prepare(request)
        message = await ws.receive()
        assert message.type is WSMsgType.TEXT
        heard.append(message.data)
        for answer in answers:
            await ws.send_str(answer)
        await ws.close(code=code)
        return ws

    app = web.Application()
    app.router.add_get(PATH, talk)
    runner = web.AppRunner(app)
    await runner.setup()
    (port,) = free(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield Hand("127.0.0.1", port, "127.0.0.9"), heard
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 2**20])
async def test_a_frame_of_any_size_is_heard_as_it_was_made(size: int) -> None:
    async with server() as (hand, heard), await Line.open(hand) as line:
        assert await line.upgrade()
        await line.send(frame(b"x" * size))
        await line.listen()
    assert heard == ["x" * size]
    assert hand.tally == Counter({SENT: 1, "close 4400": 1})


async def test_fragments_are_one_message() -> None:
    async with server() as (hand, heard), await Line.open(hand) as line:
        assert await line.upgrade()
        await line.send(frame(b"he", fin=False) + frame(b"", CONTINUATION, fin=False) * 9)
        await line.send(frame(b"llo", CONTINUATION))
        await line.listen()
    assert heard == ["hello"]


async def test_what_it_is_told_is_counted_by_code() -> None:
    answers = [
        {"type": "error", "code": "rate_limited", "message": "Too fast."},
        {"type": "stream_text", "chunk": "word1"},
        {"type": "stream_end", "status": "completed"},
        {"type": "stream_end", "status": "failed", "error": {"code": "too_many_requests"}},
    ]
    said = [orjson.dumps(answer).decode() for answer in answers]
    async with server(*said, code=4529) as (hand, _), await Line.open(hand) as line:
        assert await line.upgrade()
        await line.send(frame(b"{}"))
        await line.listen()
    assert hand.tally == Counter(
        {SENT: 1, SERVED: 1, "rate_limited": 1, "too_many_requests": 1, "close 4529": 1}
    )


async def test_a_refused_upgrade_is_told_by_its_code() -> None:
    async with server() as (hand, _), await Line.open(hand) as line:
        assert not await line.upgrade("bad")
    assert hand.tally == Counter({"unauthenticated": 1})


async def test_a_connection_that_breaks_without_a_word_is_cut() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await writer.drain()
        writer.transport.abort()

    (port,) = free(1)
    async with await asyncio.start_server(hang_up, "127.0.0.1", port):
        hand = Hand("127.0.0.1", port, "127.0.0.9")
        async with await Line.open(hand) as line:
            assert await line.upgrade()
            await line.listen()
    assert hand.tally == Counter({"cut": 1})
