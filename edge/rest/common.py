"""What every REST call shares: who asks, the body, the answer, and what went wrong
(PROTOCOL §7)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import grpc
import orjson
from aiohttp import web

from edge import metrics
from edge.access.budgets import Doors, Pool
from edge.access.client_ip import Proxies, holder
from edge.access.effort import FAILED_S, REQUEST_S, Effort
from edge.access.origins import Origins
from edge.access.rate_limit import Buckets
from edge.access.tokens import Identity, Tokens, bearer, unauthenticated
from edge.gateway.registry import Devices
from edge.settings import EdgeSettings
from edge.wire import codec
from edge.wire.json_mapping import InvalidFrame
from runtime import errors, tracing
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

if TYPE_CHECKING:
    from switchboard.v3.accounts_pb2_grpc import AccountServiceAsyncStub
    from switchboard.v3.memory_pb2_grpc import MemoryServiceAsyncStub
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

log = logging.getLogger(__name__)

CALL_S: Final = 10.0
"""How long a call to a service behind may take, in seconds. Argon2id takes its time."""

BODY_S: Final = 30.0
"""How long a body may take to arrive, in seconds."""

AUTH_BYTES: Final = 4 * 1024
"""The largest body of a call under /api/v1/auth/, which anybody may make, in bytes."""

_GONE: Final = 499
"""The status of a call whose caller did not wait, as it is counted."""

_EXPOSED: Final = "Retry-After"
"""What a browser's script may read of an answer beside its body."""

_CORS: Final = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Max-Age": "600",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """What the handlers work with."""

    settings: EdgeSettings
    tokens: Tokens
    origins: Origins
    devices: Devices
    doors: Doors
    effort: Effort
    pool: Pool
    proxies: Proxies
    hellos: Buckets
    sign_ins: Buckets
    refreshes: Buckets
    router: RouterServiceAsyncStub
    accounts: AccountServiceAsyncStub
    memory: MemoryServiceAsyncStub
    router_channel: grpc.aio.Channel
    memory_channel: grpc.aio.Channel


EDGE: Final = web.AppKey("edge", Edge)

_SENDER: Final = web.RequestKey("sender", str)
"""Under this a request of the API says whose effort it is: to check a token twice is CPU, too."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reply(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )


def refusal(
    error: SwitchboardError, status: int | None = None, beside: Mapping[str, Any] | None = None
) -> web.Response:
    """An error as JSON, with the status that fits its code; `beside`: what else is told."""
    found: dict[str, Any] = {
        "code": errors.word(error.code),
        "message": error.message,
        "retryable": error.retryable,
    }
    if error.retry_after_ms is not None:
        found["retry_after_ms"] = error.retry_after_ms
    response = reply(
        {"error": found, **(beside or {})}, status or errors.spec(error.code).http_status or 500
    )
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return response


def identity(request: web.Request) -> Identity:
    """Who asks. Raises SwitchboardError (unauthenticated)."""
    token = bearer(request.headers.get("Authorization"))
    if token is None:
        raise unauthenticated()
    return request.app[EDGE].tokens.check(token)


def address(request: web.Request) -> str:
    """Who is counted for this call where users are not: its client's address."""
    proxies = request.app[EDGE].proxies
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return holder(
        proxies.client(
            peer[0] if isinstance(peer, tuple) else "", request.headers.getall(proxies.header, [])
        )
    )


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises InvalidFrame, or SwitchboardError (rate_limited)."""
    effort, who = request.app[EDGE].effort, request[_SENDER]
    try:
        async with asyncio.timeout(BODY_S):
            text = await _read(request)
    except TimeoutError:
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED, "The body took too long to arrive."
        ) from None
    async with effort.turn(who, len(text)):
        return await effort.run(who, codec.parsing(text))


def _sender(request: web.Request) -> str:
    """Whose effort a call is: a user's, or an address's where no good token is shown."""
    try:
        return identity(request).user_id
    except SwitchboardError:
        return address(request)


async def _read(request: web.Request) -> bytes:
    """The body; no more of one that is too large than it takes to see so."""
    if not request.path.startswith("/api/v1/auth/"):
        return await request.read()
    text = bytearray()
    async for piece in request.content.iter_any():
        text += piece
        if len(text) > AUTH_BYTES:
            raise web.HTTPRequestEntityTooLarge(AUTH_BYTES, len(text))
    return bytes(text)


def text_of(value: dict[str, Any], name: str) -> str:
    """A string of a body. Raises InvalidFrame where it is missing or something else."""
    found = value.get(name)
    if not isinstance(found, str):
        raise InvalidFrame(name, "is missing" if found is None else "is no string")
    return found


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Origins, CORS, and every error as JSON. The socket does its own origins (close 4403)."""
    await request.app[EDGE].effort.enter()
    response = await _served(request, handler)
    if request.app[EDGE].devices.draining and not response.prepared:
        response.force_close()  # a kept connection would bring more
    return response


async def _served(request: web.Request, handler: Handler) -> web.StreamResponse:
    origin = request.headers.get("Origin")
    if request.path == "/api/v1/ws/device":
        return await _answer(request, handler)
    if not request.app[EDGE].origins.allow(origin, request.host):
        return refusal(
            SwitchboardError(ErrorCode.ERROR_CODE_FORBIDDEN, "This origin is not allowed.")
        )
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response: web.StreamResponse = web.Response(status=204, headers=_CORS)
    else:
        response = await _observed(request, handler)
    return response


async def prepare(request: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer, of those that are sent in pieces, too, before the first."""
    if isinstance(response, web.WebSocketResponse):
        return
    if request.path.startswith("/api/") and request.method != "OPTIONS":
        # Tokens, and what is remembered of somebody, are no cache's.
        response.headers["Cache-Control"] = "no-store"
    origin = request.headers.get("Origin")
    if origin is not None and request.app[EDGE].origins.allow(origin, request.host):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        response.headers["Vary"] = "Origin"


async def _observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    began, status = perf_counter(), _GONE
    # Probes come every few seconds: they are no traces, and free.
    of_note = request.path.startswith("/api/")
    name = f"{request.method} {metrics.route_of(request)}"
    try:
        with tracing.span(name, kind=tracing.SERVER) if of_note else nullcontext():
            response = await _answer(request, _paid(handler) if of_note else handler)
            status = response.status
        return response
    finally:
        metrics.answered(request, status, began)


def _paid(handler: Handler) -> Handler:
    async def paid(request: web.Request) -> web.StreamResponse:
        effort = request.app[EDGE].effort
        who = request[_SENDER] = _sender(request)
        effort.check(who)
        effort.charge(who, REQUEST_S)
        return await handler(request)

    return paid


async def _hold(request: web.Request, error: SwitchboardError) -> None:
    """Who comes too often hears it a moment later, and who tries tokens, once that is often."""
    effort = request.app[EDGE].effort
    if error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED:
        effort.charge(address(request), FAILED_S)
        often = effort.wait(address(request)) > 0
    else:
        often = error.code == ErrorCode.ERROR_CODE_RATE_LIMITED
    if often:
        await effort.hold()


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except SwitchboardError as error:
        await _hold(request, error)
        return refusal(error)
    except InvalidFrame as error:
        return refusal(SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, str(error)))
    except grpc.aio.AioRpcError as error:
        return refusal(errors.from_rpc(error))
    except web.HTTPException as error:
        return refusal(_of_http(error), error.status)
    except ConnectionError:  # who asked is gone: nobody's fault, and nobody to answer
        raise
    except Exception:
        log.exception("a call failed by a fault of our own")
        return refusal(
            SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")
        )


def _of_http(error: web.HTTPException) -> SwitchboardError:
    match error.status:
        case 404 | 405:
            return SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such call.")
        case 413:
            return SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, "The body is too large.")
        case _:
            return SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, error.reason)
