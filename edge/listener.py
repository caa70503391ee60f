"""The HTTP server as the edge wants it: what aiohttp itself refuses is refused as JSON, too,
and nothing of it is said again, to the caller or in the log: a header may hold a token.
"""

import logging
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from edge.settings import EdgeSettings
from edge.web import refusal
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

LINE_BYTES: Final = 8190
"""The longest request line: method and URL."""

HEADER_BYTES: Final = 8192
"""The longest header. Not the same number: by it aiohttp tells which of the two it was."""


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


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Handler(RequestHandler):
    __slots__ = ()

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
