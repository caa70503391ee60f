"""What an idle socket costs the edge: `python -m bench.idle_sockets --sockets 10000`.

One edge as a process, in front of scripted services; devices that say hello and then only answer
heartbeats. Prints the edge's memory for each socket, what of a core the heartbeats take, and how
long a `ping` takes among them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import aiohttp

from edge.access.tokens import Tokens
from tests.support import ports
from tests.support.edge_stack import KEY
from tests.support.fleet import UNLIMITED, Process
from tests.support.scripted_router import Behind

AT_ONCE: Final = 100
USERS_SOCKETS: Final = 20
SPARE_FDS: Final = 200
STRIDE: Final = 7919
"""From one socket that is pinged to the next: a prime, so that they lie all over."""

PINGS: Final = 200
"""About so many, one after another."""

HEARTBEATS: Final = 3
"""The sockets are kept for so many of them."""


class Socket:
    """A socket that was welcomed. It reads on, as one must that answers heartbeats."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._ponged = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._ws:
            assert message.json()["type"] == "pong"
            self._ponged.set()

    @property
    def alive(self) -> bool:
        """Whether the edge still has it."""
        return not self._reader.done()

    async def ping(self) -> float:
        """How long a ping takes, in seconds."""
        began = time.perf_counter()
        self._ponged.clear()
        await self._ws.send_json({"type": "ping"})
        async with asyncio.timeout(60):
            await self._ponged.wait()
        return time.perf_counter() - began

    async def close(self) -> None:
        """Leaves."""
        await self._ws.close()
        await self._reader


async def hello(http: aiohttp.ClientSession, url: str, tokens: Tokens, number: int) -> Socket:
    """A device's hello and its welcome."""
    token = tokens.issue(f"user-{number // USERS_SOCKETS}", "family")
    headers = {"Authorization": f"Bearer {token}"}
    opened = await http.ws_connect(f"{url}/api/v1/ws/device", headers=headers)
    await opened.send_json({"type": "device_hello", "device_id": f"device-{number}"})
    assert (await opened.receive_json(timeout=60))["type"] == "device_ready"
    return Socket(opened)


async def measure(count: int, heartbeat_s: float, edge: Process, url: str) -> None:
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
        kept, cpu, times = HEARTBEATS * heartbeat_s, edge.cpu_s, []
        until = time.perf_counter() + kept
        for at in itertools.count():
            times.append(await sockets[at * STRIDE % count].ping())
            if time.perf_counter() >= until:
                break
            await asyncio.sleep(kept / PINGS)
        busy = (edge.cpu_s - cpu) / kept
        with_them = edge.rss
        lost = sum(not one.alive for one in sockets)
        print(f"{count} idle sockets, opened in {took:.1f} s; {lost} were lost")
        print(f"edge: {before / 2**20:.0f} MiB without, {with_them / 2**20:.0f} MiB with them")
        print(f"{(with_them - before) / count / 1024:.1f} KiB a socket")
        print(f"heartbeats every {heartbeat_s:g} s: {busy:.0%} of a core, over {kept:g} s")
        middle, most = sorted(times)[len(times) // 2], max(times)
        print(f"ping among them: {middle * 1000:.1f} ms (median), {most * 1000:.1f} ms at most")
        await asyncio.gather(*(one.close() for one in sockets))


async def run(count: int, heartbeat_s: float, folder: Path) -> None:
    """Starts the edge, and measures."""
    async with Behind() as behind:
        port = ports.row(1)
        env = {
            **os.environ,
            **UNLIMITED,
            "EDGE_PORT": str(port),
            "AUTH_SIGNING_KEYS": KEY,
            "ROUTER_ADDR": behind.address,
            "MEMORY_ADDR": behind.address,
            "HEARTBEAT_S": str(heartbeat_s),
            "MAX_SOCKETS_PER_USER": str(USERS_SOCKETS),
        }
        edge = Process("edge", port, env, folder / "edge.log")
        edge.start()
        try:
            while not edge.up:  # noqa: ASYNC110 - a process sets no event of ours
                await asyncio.sleep(0.05)
            await measure(count, heartbeat_s, edge, f"http://127.0.0.1:{port}")
        finally:
            edge.terminate()
            await asyncio.to_thread(edge.reap)


def main() -> None:
    """Measures as many as was asked for, or as this machine allows."""
    parser = argparse.ArgumentParser(prog="idle_sockets", description=__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--heartbeat", type=float, default=20, help="in seconds")
    given = parser.parse_args()
    count = given.sockets
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if count + SPARE_FDS > hard:
        sys.exit(f"idle_sockets: {count} sockets need more descriptors than {hard}")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(count, given.heartbeat, Path(folder)))


if __name__ == "__main__":
    main()
