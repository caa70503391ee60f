"""The private authority: its certificates, their renewal, and a change of authority."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from deploy import certs
from runtime.channels import dial
from runtime.server import Server
from runtime.settings import ServiceSettings, Settings
from switchboard.v3 import router_pb2_grpc
from switchboard.v3.router_pb2 import RouteRequest, RouteResponse


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(certs, "_TAKEN_AFTER_S", 0.0)
    certs.ensure(tmp_path)
    return tmp_path


def files(tls: Path, name: str) -> dict[str, Path]:
    return {f"tls_{kind}_file": tls / name / f"{kind}.pem" for kind in ("cert", "key", "ca")}


def serial(tls: Path, name: str) -> int:
    return x509.load_pem_x509_certificate((tls / name / "cert.pem").read_bytes()).serial_number


class Router(router_pb2_grpc.RouterServiceServicer):
    async def Route(self, request: RouteRequest, context: object) -> RouteResponse:
        return RouteResponse(agent_name="task_agent")


@asynccontextmanager
async def router(tls: Path) -> AsyncIterator[int]:
    given = {"listen_addr": "127.0.0.1:0", "tls_callers": ("edge",), **files(tls, "router_svc")}
    server = Server(ServiceSettings.model_validate(given), "router", [])
    servicer = Router()  # type: ignore[abstract] # one method is enough here
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server.grpc)
    try:
        yield await server.start()
    finally:
        await server.stop()


async def route(port: int, tls: Path, caller: str) -> str:
    settings = Settings.model_validate(files(tls, caller))
    async with dial(f"localhost:{port}", settings) as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        return (await stub.Route(RouteRequest(), timeout=5)).agent_name


async def test_services_call_each_other_with_them(tls: Path) -> None:
    async with router(tls) as port:
        assert await route(port, tls, "edge") == "task_agent"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await route(port, tls, "formatter_svc")
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_running_service_takes_a_new_authority_and_still_trusts_the_last(tls: Path) -> None:
    async with router(tls) as port:
        shutil.copytree(tls / "edge", tls / "late")
        certs.change_authority(tls)
        assert await route(port, tls, "edge") == "task_agent"
        # A caller that has taken the authorities, but not yet its new certificate.
        shutil.copy(tls / "edge/ca.pem", tls / "late/ca.pem")
        assert await route(port, tls, "late") == "task_agent"


def test_renewal_leaves_the_authority(tls: Path) -> None:
    authority, edge = (tls / "authority/cert.pem").read_bytes(), serial(tls, "edge")
    certs.renew(tls)
    assert (tls / "authority/cert.pem").read_bytes() == authority
    assert serial(tls, "edge") != edge


def test_only_what_ends_soon_is_renewed(tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert certs.ensure(tls) == []
    monkeypatch.setattr(certs, "CERTIFICATE_LIFE", timedelta(days=20))
    certs.renew(tls, ["edge"])
    monkeypatch.undo()
    assert certs.ensure(tls) == ["edge"]
    cert = x509.load_pem_x509_certificate((tls / "edge/cert.pem").read_bytes())
    assert cert.not_valid_after_utc - datetime.now(UTC) > timedelta(days=390)


def test_the_authoritys_key_is_in_no_services_folder(tls: Path) -> None:
    key = (tls / "authority/key.pem").read_bytes()
    for service in certs.SERVICES:
        assert {path.name for path in (tls / service).iterdir()} == {
            "cert.pem",
            "key.pem",
            "ca.pem",
        }
        assert all(path.read_bytes() != key for path in (tls / service).iterdir())
