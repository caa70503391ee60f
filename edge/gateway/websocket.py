"""The WebSocket as the edge wants it: its sizes and heartbeat, and a close that arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from edge.gateway.fragments import Fragments
from edge.settings import EdgeSettings
from switchboard.v3.errors_pb2 import CloseCode

CLOSE_S: Final = 5.0
"""How long a peer may take to answer a close."""

QUIET_S: Final = 0.5
"""A peer that sent nothing for so long has sent all of its message."""

LINGER_BYTES: Final = 64 * 1024 * 1024
"""So much of a message that is too large is read and thrown away."""

WHOLE_S: Final = 60.0
"""How long a message may take to arrive: a MiB at 140 kbit/s."""

_FAULTS: Final = frozenset(
    {
        WSCloseCode.PROTOCOL_ERROR,
        WSCloseCode.INVALID_TEXT,
        WSCloseCode.MESSAGE_TOO_BIG,
    }
)
"""The closes after which aiohttp reads nothing more."""


class WebSocket(web.WebSocketResponse[bool]):
    """A socket whose close frame reaches also who is still sending.

    A TCP connection that is closed over data that nobody read is reset, and a reset takes
    with it what the peer has not read yet: the client would see 1006 where we said 1009.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        super().__init__(
            timeout=CLOSE_S,
            heartbeat=settings.heartbeat_s,
            autoping=False,  # pings count as frames: the connection answers them
            compress=False,
            # aiohttp's bound is the first size that is too much.
            max_msg_size=settings.limits.max_frame_bytes + 1,
            decode_text=False,  # orjson checks the UTF-8 itself
        )
        self._transport: asyncio.Transport | None = None

    @property
    def gone(self) -> bool:
        """Whether its connection is lost, as far as is known without reading."""
        return self._transport is None or self._transport.is_closing()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Opens the socket."""
        writer = await super().prepare(request)
        self._transport = request.transport
        if isinstance(reader := getattr(request.protocol, "reader", None), WatchedReader):
            reader.on_abuse(self._give_up)
        return writer

    def _give_up(self) -> None:
        """What comes will never be a message: `receive` raises, and so closes."""
        code = CloseCode.CLOSE_CODE_RATE_LIMITED
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()  # a flood would be read, for nobody, until the close
        if self._reader is not None:
            self._reader.set_exception(WebSocketError(code, "no message, only parts of one"))

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Closes the socket; after a fault of the peer's, once it has sent all it wanted to."""
        transport = self._transport
        if code in _FAULTS and not self.closed and transport and not transport.is_closing():
            await self.send_frame(code.to_bytes(2, "big") + message, WSMsgType.CLOSE)
            await _read_on(transport)
        try:
            return await super().close(code=code, message=message, drain=drain)
        finally:
            # What the peer sent meanwhile, up to a MiB, is a variable of a frame that the exception
            # names; and the heartbeat's timer keeps the socket, and so the exception, for 20 s.
            if (why := self.exception()) is not None:
                why.__traceback__ = None


class WatchedReader:
    """aiohttp's reader of frames, whose messages must end: in so many fragments, within WHOLE_S."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._fragments = Fragments()
        self._due: asyncio.TimerHandle | None = None
        self._over = False
        self._give_up: Callable[[], None] | None = None

    def on_abuse(self, give_up: Callable[[], None]) -> None:
        """What to do then; it may have happened already."""
        self._give_up = give_up
        if self._over:
            give_up()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Takes what came; once it is too much, nothing more of it is looked at."""
        if self._over:
            return False, b""
        self._fragments.feed(data)
        if self._fragments.too_many:
            self._stop()
            return False, b""
        if not self._fragments.under_way:
            self._rest()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(WHOLE_S, self._stop)
        fed: tuple[bool, bytes] = self._reader.feed_data(data)
        return fed

    def feed_eof(self) -> None:
        """The other side is gone."""
        self._rest()
        self._reader.feed_eof()

    def _stop(self) -> None:
        self._rest()
        self._over = True
        if self._give_up is not None:
            self._give_up()

    def _rest(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


async def _read_on(transport: asyncio.Transport) -> None:
    """Reads and throws away until the peer is quiet or gone, within bounds."""
    owner = transport.get_protocol()
    discard = _Discard(owner)
    transport.set_protocol(discard)
    transport.resume_reading()
    try:
        async with asyncio.timeout(CLOSE_S):
            while await discard.heard(QUIET_S):
                pass
    except TimeoutError:
        pass
    finally:
        transport.set_protocol(owner)


class _Discard(asyncio.Protocol):
    """Takes in bytes for nobody; everything else is still its owner's."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._left = LINGER_BYTES
        self._heard = asyncio.Event()
        self._over = False

    async def heard(self, seconds: float) -> bool:
        """Whether something came within so many seconds, and more may come."""
        self._heard.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        except TimeoutError:
            return False
        return not self._over

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        self._over |= self._left <= 0
        self._heard.set()

    def eof_received(self) -> bool | None:
        self._over = True
        self._heard.set()
        return True  # the owner closes

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._heard.set()
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()
