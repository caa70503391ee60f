"""Who may call whom, and certificates that change under a running server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from runtime.channels import dial
from runtime.server import Server
from runtime.settings import ServiceSettings, Settings
from switchboard.v3 import router_pb2_grpc
from switchboard.v3.router_pb2 import RouteRequest, RouteResponse
from tests.support.certs import Authority


class Router(router_pb2_grpc.RouterServiceServicer):
    async def Route(self, request: RouteRequest, context: object) -> RouteResponse:
        return RouteResponse(agent_name="task_agent")


@asynccontextmanager
async def serving(folder: Path, authority: Authority, *callers: str) -> AsyncIterator[int]:
    files = authority.issue(folder / "server", "router_svc")
    settings = {"listen_addr": "127.0.0.1:0", "tls_callers": callers, **files}
    server = Server(ServiceSettings.model_validate(settings), "router", [])
    router = Router()  # type: ignore[abstract] # one method is enough here
    router_pb2_grpc.add_RouterServiceServicer_to_server(router, server.grpc)
    try:
        yield await server.start()
    finally:
        await server.stop()


async def route(port: int, settings: Settings) -> str:
    async with dial(f"localhost:{port}", settings) as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        return (await stub.Route(RouteRequest(), timeout=5)).agent_name


async def test_only_named_callers_are_served(tmp_path: Path) -> None:
    authority = Authority()
    async with serving(tmp_path, authority, "edge") as port:
        edge = Settings.model_validate(authority.issue(tmp_path / "edge", "edge"))
        assert await route(port, edge) == "task_agent"

        other = Settings.model_validate(authority.issue(tmp_path / "other", "formatter_svc"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await route(port, other)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

        stranger = Settings.model_validate(Authority().issue(tmp_path / "stranger", "edge"))
        for settings in (stranger, Settings()):
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await route(port, settings)
            assert unknown.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_renewed_files_are_taken_without_a_restart(tmp_path: Path) -> None:
    first, second = Authority(), Authority()
    async with serving(tmp_path, first) as port:
        settings = Settings.model_validate(first.issue(tmp_path / "edge", "edge"))
        async with dial(f"localhost:{port}", settings) as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            assert (await stub.Route(RouteRequest(), timeout=5)).agent_name == "task_agent"
            second.issue(tmp_path / "server", "router_svc")
            # A second client proves that the server has turned to the new authority.
            fresh = Settings.model_validate(second.issue(tmp_path / "fresh", "edge"))
            assert await route(port, fresh) == "task_agent"
            second.issue(tmp_path / "edge", "edge")
            channel_is_new = False
            async with asyncio.timeout(10):
                while not channel_is_new:  # it looks at its files once a second
                    channel_is_new = channel.get_state() is grpc.ChannelConnectivity.IDLE
                    await asyncio.sleep(0.1)
            assert (await stub.Route(RouteRequest(), timeout=5)).agent_name == "task_agent"


def test_half_a_set_of_files_is_refused(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path, "edge")
    del files["tls_key_file"]
    with pytest.raises(ValueError, match="set all of them or none"):
        Settings.model_validate(files)
