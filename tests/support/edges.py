"""Two edges that are one: a real NATS server between them, the same services behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp

from edge.access.tokens import Tokens
from edge.rest.common import Edge
from tests.support import ports
from tests.support.edge_stack import KEY, EdgeStack, edge_stack, eventually
from tests.support.nats import Nats, nats
from tests.support.scripted_router import Behind, Script

START_S = 20.0


@dataclass(slots=True)
class Pair:
    """Edges `a` and `b`."""

    a: EdgeStack
    b: EdgeStack
    broker: Nats

    def run(self, script: Script) -> None:
        """What the router does with each request, whichever edge asks."""
        self.a.behind.router.script = script


@asynccontextmanager
async def pair(**settings: Any) -> AsyncIterator[Pair]:
    """Two edges in this process, which have met."""
    async with nats() as broker, edge_stack(nats_url=broker.url, **settings) as a:
        behind = {"router_addr": a.behind.address, "memory_addr": a.behind.address}
        async with edge_stack(nats_url=broker.url, **(behind | settings)) as b:
            await eventually(lambda: met(a) and met(b))
            yield Pair(a, b, broker)


def met(stack: EdgeStack) -> bool:
    """Whether this edge can reach others."""
    return "connected" in repr(stack.edge.devices.others)


class EdgeProcess(EdgeStack):
    """An edge in a process of its own: `kill`, `freeze`, `thaw`."""

    def __init__(self, url: str, behind: Behind, process: asyncio.subprocess.Process) -> None:
        super().__init__(url, cast(Edge, None), aiohttp.web.Application(), behind)
        self.process = process
        self._tokens = Tokens([KEY], 900)

    def token(self, user_id: str = "user-1", family_id: str = "family-1") -> str:
        return self._tokens.issue(user_id, family_id)

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: its sockets stay open, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def edge_process(behind: Behind, nats_url: str, **environ: str) -> AsyncIterator[EdgeProcess]:
    """`python -m edge`, ready, until left or killed."""
    (port,) = ports.free(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge",
        env={
            "PATH": os.environ["PATH"],
            "EDGE_PORT": str(port),
            "AUTH_SIGNING_KEYS": KEY,
            "ROUTER_ADDR": behind.address,
            "MEMORY_ADDR": behind.address,
            "NATS_URL": nats_url,
            "DRAIN_S": "2",
            **environ,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    stack = EdgeProcess(f"http://127.0.0.1:{port}", behind, process)
    try:
        async with asyncio.timeout(START_S):
            assert process.stderr
            while b"can be reached" not in (line := await process.stderr.readline()):
                assert line, "the edge did not start"
            await _ready(stack)
        yield stack
    finally:
        await stack.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _ready(stack: EdgeStack) -> None:
    while True:
        try:
            if (await stack.call("GET", "/readyz"))[0] == 200:
                return
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.02)
