"""The WebSocket as the edge wants it: its sizes and heartbeat, and a close that arrives."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from edge.settings import EdgeSettings

CLOSE_S: Final = 5.0
"""How long a peer may take to answer a close."""

QUIET_S: Final = 0.5
"""A peer that sent nothing for so long has sent all of its message."""

LINGER_BYTES: Final = 64 * 1024 * 1024
"""So much of a message that is too large is read and thrown away."""

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
        return writer

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Closes the socket; after a fault of the peer's, once it has sent all it wanted to."""
        transport = self._transport
        if code in _FAULTS and not self.closed and transport and not transport.is_closing():
            await self.send_frame(code.to_bytes(2, "big") + message, WSMsgType.CLOSE)
            await _read_on(transport)
        return await super().close(code=code, message=message, drain=drain)


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
