"""What an idle socket costs the edge: `python -m bench.idle_sockets --sockets 10000`.

One edge as a process, in front of scripted services; devices that say hello and then
nothing. Prints the edge's memory for each socket, and how long a `ping` takes among them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import aiohttp

from edge.auth import Tokens
from tests.support.edge_stack import KEY
from tests.support.fleet import UNLIMITED, Process
from tests.support.scripted_router import Behind

AT_ONCE: Final = 100
USERS_SOCKETS: Final = 20
SPARE_FDS: Final = 200

Socket = aiohttp.ClientWebSocketResponse


async def hello(http: aiohttp.ClientSession, url: str, tokens: Tokens, number: int) -> Socket:
    """A socket that was welcomed."""
    token = tokens.issue(f"user-{number // USERS_SOCKETS}", "family")
    headers = {"Authorization": f"Bearer {token}"}
    opened = await http.ws_connect(f"{url}/api/v1/ws/device", headers=headers)
    await opened.send_json({"type": "device_hello", "device_id": f"device-{number}"})
    assert (await opened.receive_json(timeout=60))["type"] == "device_ready"
    return opened


async def measure(count: int, edge: Process, url: str) -> None:
    """Opens the sockets, looks at the edge, and closes them."""
    tokens = Tokens([KEY], 900)
    before = edge.rss
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        began = time.perf_counter()
        sockets: list[Socket] = []
        for start in range(0, count, AT_ONCE):
            several = range(start, min(start + AT_ONCE, count))
            sockets += await asyncio.gather(*(hello(http, url, tokens, n) for n in several))
        took = time.perf_counter() - began
        grown = edge.rss - before
        times = []
        for one in sockets[:: max(1, count // 200)]:
            began = time.perf_counter()
            await one.send_json({"type": "ping"})
            assert (await one.receive_json(timeout=60))["type"] == "pong"
            times.append(time.perf_counter() - began)
        print(f"{count} idle sockets, opened in {took:.1f} s")
        print(f"edge: {before / 2**20:.0f} MiB without, {edge.rss / 2**20:.0f} MiB with them")
        print(f"{grown / count / 1024:.1f} KiB a socket")
        print(f"ping among them: {sorted(times)[len(times) // 2] * 1000:.1f} ms (median)")
        await asyncio.gather(*(one.close() for one in sockets))


async def run(count: int, folder: Path) -> None:
    """Starts the edge, and measures."""
    async with Behind() as behind:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = int(held.getsockname()[1])
        env = {
            **os.environ,
            **UNLIMITED,
            "EDGE_PORT": str(port),
            "AUTH_SIGNING_KEYS": KEY,
            "ROUTER_ADDR": behind.address,
            "MEMORY_ADDR": behind.address,
            "HEARTBEAT_S": "600",
            "MAX_SOCKETS_PER_USER": str(USERS_SOCKETS),
        }
        edge = Process("edge", port, env, folder / "edge.log")
        edge.start()
        try:
            while not edge.up:  # noqa: ASYNC110 - a process sets no event of ours
                await asyncio.sleep(0.05)
            await measure(count, edge, f"http://127.0.0.1:{port}")
        finally:
            edge.terminate()
            await asyncio.to_thread(edge.reap)


def main() -> None:
    """Measures as many as was asked for, or as this machine allows."""
    parser = argparse.ArgumentParser(prog="idle_sockets", description=__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    count = parser.parse_args().sockets
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if count + SPARE_FDS > hard:
        sys.exit(f"idle_sockets: {count} sockets need more descriptors than {hard}")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(count, Path(folder)))


if __name__ == "__main__":
    main()
