"""TLS at the edge's own listener."""

import asyncio
import ssl
import time
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.support.certs import Authority
from tests.support.edge_stack import EdgeStack, edge_stack


def settings(files: dict[str, Path]) -> dict[str, Path]:
    return {
        "edge_tls_cert_file": files["tls_cert_file"],
        "edge_tls_key_file": files["tls_key_file"],
    }


def trusting(files: dict[str, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files["tls_ca_file"]))


async def converse(stack: EdgeStack, context: ssl.SSLContext) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http,
        http.ws_connect(
            f"{URL(stack.url).with_scheme('wss')}/api/v1/ws/device",
            headers={"Authorization": f"Bearer {stack.token()}"},
        ) as ws,
    ):
        await ws.send_json({"type": "device_hello", "device_id": "laptop"})
        assert (await ws.receive_json())["type"] == "device_ready"
        await ws.send_json({"type": "home_request", "message": "hi"})
        while (frame := await ws.receive_json())["type"] != "stream_end":
            pass
        assert frame["status"] == "completed"


async def test_wss_and_https(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path / "edge", "edge")
    async with edge_stack(**settings(files)) as stack:
        assert stack.url.startswith("https://")
        await converse(stack, trusting(files))
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{stack.url}/healthz", ssl=trusting(files)) as response,
        ):
            assert await response.json() == {"status": "ok"}


async def test_in_the_clear_it_does_not_answer(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path / "edge", "edge")
    async with edge_stack(**settings(files)) as stack, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(str(URL(stack.url).with_scheme("http") / "healthz"))


async def test_a_renewed_certificate_is_taken_while_sockets_stay(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path / "edge", "edge")
    async with edge_stack(**settings(files)) as stack:
        old = trusting(files)
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(
                f"{stack.url}/api/v1/ws/device",
                headers={"Authorization": f"Bearer {stack.token()}"},
                ssl=old,
            ) as ws,
        ):
            await ws.send_json({"type": "device_hello", "device_id": "phone"})
            assert (await ws.receive_json())["type"] == "device_ready"
            await _until_served(stack, trusting(Authority().issue(tmp_path / "edge", "edge")))
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await converse(stack, old)
            await ws.send_json({"type": "ping"})
            assert (await ws.receive_json())["type"] == "pong"


async def test_half_a_renewal_changes_nothing(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path / "edge", "edge")
    async with edge_stack(**settings(files)) as stack:
        await converse(stack, trusting(files))
        other = Authority().issue(tmp_path / "other", "edge")
        files["tls_cert_file"].write_bytes(other["tls_cert_file"].read_bytes())  # its key is late
        began = time.monotonic()
        while time.monotonic() - began < 1.5:  # it looks once a second
            await converse(stack, trusting(files))
            await asyncio.sleep(0.05)  # a user's requests are counted
        files["tls_key_file"].write_bytes(other["tls_key_file"].read_bytes())
        await _until_served(stack, trusting(other))


async def _until_served(stack: EdgeStack, context: ssl.SSLContext) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                return await converse(stack, context)
            except aiohttp.ClientConnectorCertificateError:
                await asyncio.sleep(0.1)
