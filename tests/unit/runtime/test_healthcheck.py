"""The containers' health check, against real servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runtime.healthcheck import main
from runtime.server import Server
from runtime.settings import ServiceSettings
from switchboard.v3 import router_pb2_grpc
from switchboard.v3.router_pb2 import RouteRequest
from tests.support.certs import Authority


@asynccontextmanager
async def service(
    files: dict[str, Path] | None = None, *, ready: bool = True
) -> AsyncIterator[dict[str, str]]:
    settings = ServiceSettings.model_validate({"listen_addr": "127.0.0.1:0", **(files or {})})
    server = Server(settings, "router", [])
    port = await server.start(ready=ready)
    try:
        yield {"LISTEN_ADDR": f"0.0.0.0:{port}"}
    finally:
        await server.stop()


async def check(environ: dict[str, str], *arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments), environ)


async def test_a_serving_service_is_well() -> None:
    async with service() as environ:
        assert await check(environ) == 0


async def test_a_service_that_is_not_ready_is_not_well() -> None:
    async with service(ready=False) as environ:
        assert await check(environ) == 1


async def test_nobody_there_is_not_well() -> None:
    async with service() as environ:
        pass
    assert await check(environ) == 1


async def test_with_mutual_tls_the_service_checks_itself_with_its_own_certificate(
    tmp_path: Path,
) -> None:
    files = Authority().issue(tmp_path, "router_svc")
    async with service(files) as environ:
        assert await check(environ) == 1
        with_files = {name.upper(): str(path) for name, path in files.items()}
        assert await check(environ | with_files) == 0


@asynccontextmanager
async def edge(status: int, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def healthz(request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield str(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
async def test_the_edge_is_asked_over_http(status: int, expected: int) -> None:
    async with edge(status) as port:
        assert await check({"EDGE_PORT": port}, "/healthz") == expected
    assert await check({"EDGE_PORT": port}, "/healthz") == 1


async def test_an_edge_with_a_certificate_is_asked_over_https(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path, "chat.example.org")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["tls_cert_file"], files["tls_key_file"])
    async with edge(200, context) as port:
        environ = {"EDGE_PORT": port, "EDGE_TLS_CERT_FILE": str(files["tls_cert_file"])}
        assert await check(environ, "/healthz") == 0


async def test_probes_without_a_certificate_have_a_listener_that_knows_health_alone(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"
    files = Authority().issue(tmp_path, "router_svc")
    settings = ServiceSettings.model_validate(
        {"listen_addr": "127.0.0.1:0", "health_addr": address, **files}
    )
    server = Server(settings, "router", [])
    router_pb2_grpc.add_RouterServiceServicer_to_server(
        router_pb2_grpc.RouterServiceServicer(),  # type: ignore[abstract] # is not reached
        server.grpc,
    )
    await server.start()
    try:
        assert await check({"LISTEN_ADDR": address}) == 0
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await router_pb2_grpc.RouterServiceStub(channel).Route(RouteRequest(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "Method not found" in (refused.value.details() or "")
        await server.set_health("", False)
        assert await check({"LISTEN_ADDR": address}) == 1
        async with grpc.aio.insecure_channel(address) as channel:
            ask = getattr(health_pb2_grpc.HealthStub(channel), "Check")  # noqa: B009 - the stubs leave it out
            alive = await ask(health_pb2.HealthCheckRequest(service="alive"), timeout=5)
        assert alive.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        await server.stop()
