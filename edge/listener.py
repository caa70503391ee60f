"""The HTTP server as the edge wants it: what aiohttp itself refuses is refused as JSON, too,
and nothing of it is said again, to the caller or in the log: a header may hold a token.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from edge.gateway.websocket import WatchedReader
from edge.rest.common import refusal
from edge.settings import EdgeSettings
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

LINE_BYTES: Final = 8190
"""The longest request line: method and URL."""

HEADER_BYTES: Final = 8192
"""The longest header. Not the same number: by it aiohttp tells which of the two it was."""

READ_BYTES: Final = 4 * 1024
"""So much of a connection is taken in at once. asyncio's 256 KiB may be 40,000 fragments of
nothing, which take 40 ms to look at."""

HEADERS_BYTES: Final = 64 * 1024
"""All headers of a request together, where they come a little at a time."""


def runner(application: web.Application, settings: EdgeSettings, **more: Any) -> web.AppRunner:
    """What serves the application; `more` goes to aiohttp's AppRunner."""
    return _Runner(
        application,
        access_log=None,
        keepalive_timeout=settings.http_idle_s,
        max_line_size=LINE_BYTES,
        max_field_size=HEADER_BYTES,
        **more,
    )


def _too_large() -> bytes:
    status, error = _unread(LineTooLong(b"", HEADER_BYTES), HTTPStatus.BAD_REQUEST)
    body = refusal(error).text or ""
    return (
        f"HTTP/1.1 {int(status)} Request Header Fields Too Large\r\nConnection: close\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
        f"{body}"
    ).encode()


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Handler(RequestHandler):
    __slots__ = ("_unread", "reader")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reader: WatchedReader | None = None  # of a WebSocket
        self._unread = 0  # of headers that have not ended

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """What comes from now on are frames."""
        self.reader = WatchedReader(parser)
        super().set_parser(self.reader, data_received_cb)  # type: ignore[arg-type] # feeds alike

    def data_received(self, data: bytes) -> None:
        """Takes what came; of headers, all in all, no more than HEADERS_BYTES."""
        super().data_received(data)
        if self.reader is not None:
            return
        waits = self._waiter is not None and not self._messages  # for a request's headers
        self._unread = self._unread + len(data) if waits else 0
        if self._unread > HEADERS_BYTES and self.transport is not None:
            self.transport.write(_TOO_LARGE)
            self.force_close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to read, a little at a time."""
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES

    def connection_lost(self, exc: BaseException | None) -> None:
        """Lets go of what was read with: it holds this, too, and only a garbage collection of all
        there is would find the two."""
        super().connection_lost(exc)
        self.reader = self._data_received_cb = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is answered to what could not be read, or where our own code failed."""
        if isinstance(exc, ConnectionError):  # aiohttp lets go of who is gone without a word
            raise exc
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer is sent already")
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a call failed by a fault of our own", exc_info=exc)
            error = SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")
        else:
            status, error = _unread(exc, status)
        response = refusal(error, status)
        response.force_close()
        return response


def _unread(exc: BaseException | None, status: int) -> tuple[int, SwitchboardError]:
    words = "This is no HTTP request."
    if isinstance(exc, LineTooLong) or "Too many" in str(exc):
        header = not isinstance(exc, LineTooLong) or exc.args[1] == HEADER_BYTES
        status = (
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            if header
            else HTTPStatus.REQUEST_URI_TOO_LONG
        )
        words = "The headers are too large." if header else "The URL is too long."
    return status, SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, words)


_TOO_LARGE: Final = _too_large()
"""The answer to headers without an end: there is no request yet that aiohttp could answer."""
