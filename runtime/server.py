"""A gRPC server with what all of them share: health, reflection, errors, drain."""

import asyncio
import inspect
import logging
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from runtime import budget, held, metrics, observe, tls, tracing
from runtime.channels import MAX_MESSAGE_BYTES
from runtime.errors import SwitchboardError
from runtime.memory_limit import Guard
from runtime.settings import ServiceSettings
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

NOTICE_S: Final = 0.5
"""Between saying NOT_SERVING and refusing calls: clients need it to turn to other replicas."""

SETTLE_S: Final = 2.0
"""How long handlers may take to end once their calls were broken off."""

_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.bdp_probe", 0),  # see channels.py
    # Below the clients' keepalive, or they are sent away for too many pings.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 4_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
    # New connections now and then are how clients come to know replicas that were added: DNS is
    # looked up when a connection goes. Calls under way go on, for as long as they take.
    ("grpc.max_connection_age_ms", 30_000),
    # Thousands of streams may open at once when an edge comes back.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
)


ALIVE: Final = "alive"
"""A name in grpc.health.v1 that is SERVING for as long as the process answers at all."""


class Server:
    """One listening gRPC server. `services`: the full names that it will serve; `pool`: what
    holds for the whole process, where more than its calls hold something."""

    def __init__(
        self,
        settings: ServiceSettings,
        name: str,
        services: Sequence[str],
        pool: held.Pool | None = None,
    ) -> None:
        self._settings = settings
        self._name = name
        self._health = health.aio.HealthServicer()
        self._stopping = asyncio.Event()
        limit = settings.memory if pool is None else None  # whose pool it is looks itself
        pool = pool or held.Pool(settings.held_bytes)
        metrics.watch_memory(pool, settings.memory)
        self._handlers = _Handlers()
        served = _Served(pool, Guard(limit))
        self.grpc = grpc.aio.server(
            interceptors=[self._handlers, _Callers(settings.tls_callers), served],
            options=_OPTIONS,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        reflection.enable_server_reflection(
            (*services, health.SERVICE_NAME, reflection.SERVICE_NAME), self.grpc
        )
        # A second listener for probes that have no certificate: health, and nothing else.
        self._probes = (
            grpc.aio.server(interceptors=[self._handlers]) if settings.health_addr else None
        )
        if self._probes:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._probes)

    async def start(self, *, ready: bool = True) -> int:
        """Listens, and returns the port. With `ready` false health says NOT_SERVING until told."""
        await self.set_health("", ready)
        # For liveness: a service that waits for another must not be restarted for that.
        await self.set_health(ALIVE, True)
        source = tls.files(self._settings)
        credentials = tls.server_credentials(source) if source else None
        port = self._bind(self.grpc, self._settings.listen_addr, credentials)
        if self._probes and self._settings.health_addr:
            self._bind(self._probes, self._settings.health_addr)
            await self._probes.start()
        await self.grpc.start()
        log.info("%s listens on port %d, %s", self._name, port, self._reach(source))
        return port

    def _bind(
        self,
        server: grpc.aio.Server,
        address: str,
        credentials: grpc.ServerCredentials | None = None,
    ) -> int:
        try:
            if credentials is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, credentials)
        except RuntimeError:
            log.error(
                "%s cannot listen on %s: it is taken, or not this machine's", self._name, address
            )
            raise SystemExit(1) from None

    def _reach(self, source: tls.Files | None) -> str:
        if source is not None:
            return "with mutual TLS"
        host = self._settings.listen_addr.rpartition(":")[0].strip("[]")
        local = host in ("127.0.0.1", "::1", "localhost")
        return "on loopback only" if local else "in the clear: anyone who reaches it may call it"

    async def set_health(self, service: str, serving: bool) -> None:
        """Says whether `service` ("": all of it) can be used."""
        status = health_pb2.HealthCheckResponse
        await self._health.set(service, status.SERVING if serving else status.NOT_SERVING)

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT, then drains."""
        observe.watch(self._settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        await self._stopping.wait()
        log.info("%s is draining", self._name)
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(NOTICE_S)
        await self.stop(self._settings.drain_s)

    async def stop(self, grace: float | None = None) -> None:
        """Stops; running calls have `grace` seconds."""
        await self.grpc.stop(grace)
        if self._probes:
            await self._probes.stop(None)
        await self._handlers.over()


class _Handlers(grpc.aio.ServerInterceptor):
    """The calls that are served. gRPC tells their handlers that they are cancelled only after it
    says that it has stopped; a handler that is left when the loop ends it takes for a fault."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        if (task := asyncio.current_task()) and task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await continuation(handler_call_details)

    async def over(self) -> None:
        """Waits for the last of them, in bounds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SETTLE_S)


class _Callers(grpc.aio.ServerInterceptor):
    """Refuses callers whose certificate carries none of the names that may call."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not self._names or not _ours(handler_call_details):
            return handler
        return _with(handler, self._checked)

    def _checked(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(inner):

            async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
                await self._check(context)
                async for response in inner(request, context):
                    yield response

            return stream

        async def call(request: Any, context: Context) -> Any:
            await self._check(context)
            return await inner(request, context)

        return call

    async def _check(self, context: Context) -> None:
        if not self._names & tls.caller_names(context):
            log.warning("refused a caller that is none of %s", ", ".join(sorted(self._names)))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "This caller may not call here.")


class _Served(grpc.aio.ServerInterceptor):
    """Starts each call's time budget, counts what it holds, and maps what its handler raises to a
    status."""

    def __init__(self, pool: held.Pool, guard: Guard) -> None:
        self._pool = pool
        self._guard = guard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not _ours(handler_call_details):
            return handler
        method = handler_call_details.method.removeprefix("/switchboard.v3.")
        wrap = _streaming if handler.response_streaming else _unary
        return _with(handler, lambda inner: wrap(method, inner, self._admit))

    def _admit(self) -> held.Call:
        """What a call will hold. Raises SwitchboardError (overloaded) near the limit of memory,
        where other calls are under way whose end will make room."""
        if self._pool.held and self._guard.tight():
            raise held.overloaded()
        return held.Call(self._pool)


Admit: TypeAlias = Callable[[], held.Call]


def _ours(call: grpc.HandlerCallDetails) -> bool:
    return call.method.startswith("/switchboard.")


def _with(handler: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    """The same handler, its behaviour wrapped."""
    streams = (handler.request_streaming, handler.response_streaming)
    kind = "_".join("stream" if streaming else "unary" for streaming in streams)
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(
        wrap(getattr(handler, kind)), handler.request_deserializer, handler.response_serializer
    )


@contextmanager
def _observed(method: str, context: Context) -> Iterator[metrics.Outcome]:
    budget.start(context.time_remaining())
    with (
        tracing.serving(method, context.invocation_metadata()) as span,
        metrics.rpc(method) as outcome,
    ):
        try:
            yield outcome
        finally:
            if outcome.status != "OK":
                tracing.failed(span, outcome.status)


def _unary(
    method: str, inner: Callable[..., Awaitable[Any]], admit: Admit
) -> Callable[..., Awaitable[Any]]:
    async def handle(request: Any, context: Context) -> Any:
        with _observed(method, context) as outcome:
            try:
                with admit() as call:
                    return await inner(_counted(request, call), context)
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                await _abort(context, error, outcome)

    return handle


def _streaming(
    method: str, inner: Callable[..., AsyncGenerator[Any, None]], admit: Admit
) -> Callable[..., Awaitable[None]]:
    # Written here and not yielded to gRPC: what is written to a peer that went fails here, and
    # the handler is closed at once, not when its generator is collected.
    async def handle(request: Any, context: Context) -> None:
        with _observed(method, context) as outcome:
            try:
                with admit() as call:
                    async with aclosing(inner(_counted(request, call), context)) as responses:
                        async for response in responses:
                            await _to_peer(context.write(response))
                            call.check()
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                await _abort(context, error, outcome)

    return handle


def _counted(request: Any, call: held.Call) -> Any:
    """The message, or the stream of them, that came with a call: held until it is over."""
    if isinstance(request, Message):
        call.take(request.ByteSize())
        return request
    return _counted_stream(request, call)


async def _counted_stream(requests: AsyncIterator[Any], call: held.Call) -> AsyncIterator[Any]:
    # Only the first may be refused: who began is told of the end where it can be told.
    first = True
    # An answer of ours that ended the call, as by `overloaded`, ends what is still read of it.
    with suppress(grpc.aio.AbortError):
        async for request in requests:
            (call.take if first else call.hold)(request.ByteSize())
            first = False
            yield request


async def _abort(context: Context, error: Exception, outcome: metrics.Outcome) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, SwitchboardError):
        log.error("a call failed by a fault of our own", exc_info=error)
        error = SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")
    status = rpc_status.to_status(error.to_status())
    outcome.status = status.code.name
    await _to_peer(context.abort_with_status(status))


async def _to_peer(sending: Awaitable[None]) -> None:
    """A peer that is gone has cancelled its call: gRPC says so a moment after this fails."""
    try:
        await sending
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None
