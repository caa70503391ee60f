"""`python -m edge` as an operator meets it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


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
    port = free_port()
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
