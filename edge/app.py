"""The edge as one aiohttp application: the socket, REST, liveness and readiness."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import grpc
from aiohttp import web
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from edge import catalogue, metrics
from edge.access.budgets import Doors, Pool
from edge.access.client_ip import Proxies
from edge.access.effort import REQUEST_S, Effort
from edge.access.origins import Origins
from edge.access.rate_limit import Buckets, Rate
from edge.access.tokens import Tokens, bearer
from edge.cluster.node import Several
from edge.gateway.connection import Connection
from edge.gateway.device import Surroundings
from edge.gateway.ports import Others
from edge.gateway.registry import Devices, send_away
from edge.gateway.websocket import WebSocket
from edge.rest import accounts, chat, memory
from edge.rest.common import EDGE, Edge, address, middleware, prepare, reply
from edge.session.events import Stopped
from edge.settings import EdgeSettings
from edge.wire.error_frames import close_reason
from runtime import __version__
from runtime.channels import dial
from runtime.errors import SwitchboardError
from runtime.memory_limit import Guard
from switchboard.v3.accounts_pb2_grpc import AccountServiceStub
from switchboard.v3.errors_pb2 import CloseCode, ErrorCode
from switchboard.v3.frames_pb2 import DeviceReady
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub
from switchboard.v3.router_pb2_grpc import RouterServiceStub

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

log = logging.getLogger(__name__)

GOAWAY_BATCH: Final = 100
"""So many sockets are sent away at once: all at once would come back at once."""

HEALTH_S: Final = 2.0

_BEHIND: Final = {
    "router": ("router", ""),
    "agent": ("router", "switchboard.v3.AgentService"),
    "formatter": ("router", "switchboard.v3.FormatterService"),
    "memory": ("memory", ""),
}
"""What readiness asks: who answers, and the health name."""


def make(settings: EdgeSettings) -> web.Application:
    """The application; it dials the services behind and opens no port yet."""
    router_channel, memory_channel = (
        dial(address, settings) for address in (settings.router_addr, settings.memory_addr)
    )
    router = RouterServiceStub(router_channel)
    ready = DeviceReady(server_version=__version__, heartbeat_s=round(settings.heartbeat_s))
    guard = Guard(settings.memory)
    pool = Pool(settings.budget, guard.tight)
    several = Several(settings, pool) if settings.nats_url else None
    around = Surroundings(
        router=router,
        limits=settings.limits,
        ready=ready,
        # The router keeps the deadline; a little more, so that its own word comes first.
        deadline_s=settings.request_deadline_s + 30,
        requests=Buckets(Rate.per_minute(settings.requests_per_minute)),
        pool=pool,
        others=several.others if several else Others(),
    )
    doors = Doors(settings.most_sockets, guard.tight)
    metrics.watch(pool, settings.memory, doors.most)
    app = web.Application(middlewares=[middleware], client_max_size=settings.limits.max_frame_bytes)
    app[EDGE] = Edge(
        settings=settings,
        tokens=Tokens(settings.signing_keys, settings.access_token_s),
        origins=Origins(settings.allowed_origins),
        devices=Devices(around, settings.max_sockets_per_user),
        doors=doors,
        effort=Effort(settings.cpu_share),
        pool=pool,
        proxies=Proxies(settings.trusted_proxies, settings.forwarded_header),
        hellos=Buckets(Rate.per_minute(settings.hellos_per_minute)),
        sign_ins=Buckets(Rate.per_minute(settings.sign_ins_per_minute)),
        refreshes=Buckets(Rate.per_minute(settings.refreshes_per_minute)),
        router=router,
        accounts=AccountServiceStub(memory_channel),
        memory=MemoryServiceStub(memory_channel),
        router_channel=router_channel,
        memory_channel=memory_channel,
    )
    app.router.add_get("/api/v1/ws/device", device_socket)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/readyz/edge", edge_readyz)
    app.on_response_prepare.append(prepare)
    app.cleanup_ctx.append(_catalogue(router, ready))
    for module in (accounts, chat, memory):
        app.add_routes(module.routes)
    if several:
        app.cleanup_ctx.append(_beside(several))
    app.on_cleanup.append(_hang_up)
    return app


def _beside(several: Several) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(app: web.Application) -> AsyncIterator[None]:
        await several.start(app[EDGE].devices, app[EDGE].tokens)
        yield
        await several.stop()

    return run


def _catalogue(
    router: RouterServiceAsyncStub, ready: DeviceReady
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_: web.Application) -> AsyncIterator[None]:
        asking = asyncio.create_task(catalogue.keep_fresh(router, ready))
        yield
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    return run


async def device_socket(request: web.Request) -> web.StreamResponse:
    """The device's socket (PROTOCOL §1)."""
    edge = request.app[EDGE]
    with ExitStack() as inside:
        try:
            edge.devices.admit()
            who = address(request)
            edge.hellos.spend(who, asyncio.get_running_loop().time())
            if "Authorization" not in request.headers:
                edge.effort.check(who)
            inside.enter_context(edge.doors.enter())
        except SwitchboardError as error:
            if "Origin" not in request.headers:
                raise
            if error.code == ErrorCode.ERROR_CODE_RATE_LIMITED:
                await edge.effort.hold()
            return await _turn_away(request, error)
        return await _talk(request)


async def _talk(request: web.Request) -> web.StreamResponse:
    edge = request.app[EDGE]
    token = bearer(request.headers.get("Authorization"))
    who = None if token is None else edge.tokens.check(token)
    edge.effort.charge(who.user_id if who else address(request), REQUEST_S)
    ws = WebSocket(edge.settings)
    await ws.prepare(request)
    if not edge.origins.allow(request.headers.get("Origin"), request.host):
        await ws.close(code=CloseCode.CLOSE_CODE_ORIGIN_NOT_ALLOWED)
        return ws
    connection = Connection(
        ws,
        settings=edge.settings,
        tokens=edge.tokens,
        devices=edge.devices,
        effort=edge.effort,
        identity=who,
        address=address(request),
        abort=lambda: request.transport.abort() if request.transport else None,
    )
    await connection.serve()
    return ws


async def _turn_away(request: web.Request, error: SwitchboardError) -> web.StreamResponse:
    """A browser tells its script no status of an upgrade: it is told by a close, and the wait,
    where there is one, in its reason."""
    ws = WebSocket(request.app[EDGE].settings)
    await ws.prepare(request)
    away = error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    code = CloseCode.CLOSE_CODE_DRAINING if away else CloseCode.CLOSE_CODE_RATE_LIMITED
    await ws.close(code=code, message=close_reason(error))
    return ws


async def healthz(_: web.Request) -> web.Response:
    """The process lives."""
    return reply({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Every service behind can be used, and the edge is not going away."""
    edge = request.app[EDGE]
    channels = {"router": edge.router_channel, "memory": edge.memory_channel}
    found = await asyncio.gather(*(_serves(channels[by], name) for by, name in _BEHIND.values()))
    services = dict(zip(_BEHIND, found, strict=True))
    ready = all(found) and not edge.devices.draining
    return reply({"ready": ready, "services": services}, 200 if ready else 503)


async def edge_readyz(request: web.Request) -> web.Response:
    """The edge itself takes devices: what a load balancer asks.

    A service behind that is away takes no edge out of service: all of them would go at once,
    and with them what still works, such as answers without memory, and resumes.
    """
    ready = not request.app[EDGE].devices.draining
    return reply({"ready": ready}, 200 if ready else 503)


async def _serves(channel: grpc.aio.Channel, name: str) -> bool:
    check: grpc.aio.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse]
    check = getattr(HealthStub(channel), "Check")  # noqa: B009 - the stubs leave it out
    try:
        answer = await check(HealthCheckRequest(service=name), timeout=HEALTH_S)
    except grpc.aio.AioRpcError:
        return False
    return answer.status == HealthCheckResponse.SERVING


async def drain(app: web.Application) -> None:
    """Sends the sockets away, lets requests finish within `drain_s`, and closes (4503)."""
    edge = app[EDGE]
    edge.devices.draining = True
    loop = asyncio.get_running_loop()
    until = loop.time() + edge.settings.drain_s
    devices = list(edge.devices)
    for at in range(0, len(devices), GOAWAY_BATCH):
        for device in devices[at : at + GOAWAY_BATCH]:
            device.feed(send_away())
        await asyncio.sleep(0.01)
    while edge.devices.unfinished and loop.time() < until:  # noqa: ASYNC110 - looked at now and then
        await asyncio.sleep(0.05)
    lost = SwitchboardError(
        ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "The server went away."
    ).to_proto()
    for device in edge.devices:
        device.feed(Stopped(lost))
    await asyncio.sleep(0.05)  # the ends leave
    for socket in list(edge.devices.arriving):
        socket.stop(CloseCode.CLOSE_CODE_DRAINING)
    for device in edge.devices:
        if device.socket is not None:
            device.socket.stop(CloseCode.CLOSE_CODE_DRAINING)


async def _hang_up(app: web.Application) -> None:
    edge = app[EDGE]
    await edge.router_channel.close()
    await edge.memory_channel.close()
