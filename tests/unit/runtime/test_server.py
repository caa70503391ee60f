"""What the shared gRPC server does about peers that go in the middle of a stream."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from runtime.server import Server
from runtime.settings import ServiceSettings

SERVICE = "switchboard.v3.Flood"
READER = """
import grpc, sys, time
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_stream("/switchboard.v3.Flood/Run")(b"")
next(call)
print("reads", flush=True)
time.sleep(600)
"""


class Flood:
    """Streams without an end when it may; `over` once its handler is closed."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def run(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
                await self.goes_on.wait()
        finally:
            self.over.set()


@pytest.mark.parametrize("busy", [False, True], ids=["in a write", "before a write"])
async def test_a_peer_that_is_killed_while_it_is_written_to_ends_its_call_at_once(
    caplog: pytest.LogCaptureFixture, busy: bool
) -> None:
    flood = Flood()
    server = Server(ServiceSettings(listen_addr="127.0.0.1:0"), "flood", [SERVICE])
    handler: Any = grpc.unary_stream_rpc_method_handler(flood.run)
    server.grpc.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Run": handler}),)
    )
    port = await server.start()
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            flood.over.clear()
            flood.goes_on.clear()
            reader = await asyncio.create_subprocess_exec(
                sys.executable, "-c", READER, f"127.0.0.1:{port}", stdout=asyncio.subprocess.PIPE
            )
            assert reader.stdout
            await reader.stdout.readline()
            if not busy:
                flood.goes_on.set()
            reader.kill()
            if busy:  # the peer is gone before this loop can hear of it
                time.sleep(0.1)
                flood.goes_on.set()
            await reader.wait()
            async with asyncio.timeout(10):
                await flood.over.wait()
    await server.stop()
    assert caplog.records == []
