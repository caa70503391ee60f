"""`python -m edge` as an operator meets it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support import ports
from tests.support.certs import Authority
from tests.support.edge_stack import KEY
from tests.support.scripted_router import Behind

PATIENCE_S = 20


@asynccontextmanager
async def edge(**environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge",
        env={"PATH": os.environ["PATH"], **environ},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refused(**environ: str) -> tuple[int | None, str]:
    async with edge(**environ) as process, asyncio.timeout(PATIENCE_S):
        assert process.stderr
        said = (await process.stderr.read()).decode()
        return await process.wait(), said


async def test_a_taken_port_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, said = await refused(EDGE_PORT=port, AUTH_SIGNING_KEYS=KEY)
    assert status == 1
    assert len(said.splitlines()) == 1
    assert f"127.0.0.1:{port}" in said
    assert "taken" in said


async def test_bad_settings_are_told_at_once_in_one_line() -> None:
    status, said = await refused(EDGE_PORT="many", AUTH_SIGNING_KEYS="short-secret")
    assert status == 2
    assert len(said.splitlines()) == 1
    assert "EDGE_PORT" in said
    assert "AUTH_SIGNING_KEYS" in said
    assert "short-secret" not in said
    assert "AUTH_SIGNING_KEYS: is not set" in (await refused())[1]


async def test_it_serves_drains_on_sigterm_and_ends_with_0() -> None:
    (port,) = ports.free(1)
    url = f"http://127.0.0.1:{port}"
    async with (
        Behind() as behind,
        edge(
            EDGE_PORT=str(port),
            AUTH_SIGNING_KEYS=KEY,
            ROUTER_ADDR=behind.address,
            MEMORY_ADDR=behind.address,
        ) as process,
        aiohttp.ClientSession() as http,
        asyncio.timeout(PATIENCE_S),
    ):
        assert process.stderr
        assert str(port) in (await process.stderr.readline()).decode()
        sent = {"email": "a@example.org", "password": "correct horse"}
        async with http.post(f"{url}/api/v1/auth/register", json=sent) as response:
            token = (await response.json())["access_token"]
        ws = await http.ws_connect(
            f"{url}/api/v1/ws/device", headers={"Authorization": f"Bearer {token}"}
        )
        await ws.send_json({"type": "device_hello", "device_id": "a"})
        assert (await ws.receive_json())["type"] == "device_ready"
        process.send_signal(signal.SIGTERM)
        assert (await ws.receive_json())["type"] == "goaway"
        await ws.receive()
        assert ws.close_code == 4503
        assert await process.wait() == 0


async def test_certificates_that_cannot_be_used_stop_it_with_one_line(tmp_path: Path) -> None:
    files = Authority().issue(tmp_path / "a", "edge")
    other = Authority().issue(tmp_path / "b", "edge")
    status, said = await refused(
        AUTH_SIGNING_KEYS=KEY,
        EDGE_PORT="0",
        EDGE_TLS_CERT_FILE=str(files["tls_cert_file"]),
        EDGE_TLS_KEY_FILE=str(other["tls_key_file"]),
    )
    assert status == 2
    assert len(said.splitlines()) == 1
    assert "EDGE_TLS_KEY_FILE" in said


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("EDGE_TLS_KEY_FILE", "/dev/null"),  # without its certificate
        ("EDGE_TLS_CERT_FILE", "/nowhere.pem"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy.example"),
        ("FORWARDED_HEADER", "x-real-ip"),
        ("FRAMES_PER_SECOND", "0"),
        ("REQUESTS_PER_MINUTE", "-1"),
    ],
)
async def test_bad_limits_and_proxies_are_told_in_one_line(setting: str, value: str) -> None:
    status, said = await refused(AUTH_SIGNING_KEYS=KEY, **{setting: value})
    assert status == 2
    assert len(said.splitlines()) == 1
    assert setting in said


@pytest.mark.parametrize(
    ("host", "tls", "warned"),
    [("127.0.0.1", False, False), ("0.0.0.0", False, True), ("0.0.0.0", True, False)],
)
async def test_in_the_clear_beyond_this_machine_it_says_so_once(
    tmp_path: Path, host: str, tls: bool, warned: bool
) -> None:
    environ = {"AUTH_SIGNING_KEYS": KEY, "EDGE_PORT": "0", "EDGE_HOST": host}
    if tls:
        files = Authority().issue(tmp_path, "edge")
        environ["EDGE_TLS_CERT_FILE"] = str(files["tls_cert_file"])
        environ["EDGE_TLS_KEY_FILE"] = str(files["tls_key_file"])
    async with edge(**environ) as process, asyncio.timeout(PATIENCE_S):
        assert process.stderr
        said = b""
        while b"edge listens on" not in said:
            said += await process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        said += await process.stderr.read()
        assert await process.wait() == 0
    assert said.count(b"in the clear") == warned


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"EDGE_HOST": "0.0.0.0"}, True),
        ({"EDGE_HOST": "0.0.0.0", "TRUSTED_PROXIES": "10.0.0.0/8"}, False),
        ({}, False),
    ],
)
async def test_an_edge_that_trusts_no_proxy_beyond_this_machine_says_so(
    given: dict[str, str], warned: bool
) -> None:
    async with (
        edge(EDGE_PORT="0", AUTH_SIGNING_KEYS=KEY, **given) as process,
        asyncio.timeout(PATIENCE_S),
    ):
        assert process.stderr
        said = ""
        while "edge listens" not in said:
            said += (await process.stderr.readline()).decode()
        process.terminate()
        said += (await process.stderr.read()).decode()
    assert ("TRUSTED_PROXIES is not set" in said) == warned
