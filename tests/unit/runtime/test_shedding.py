"""A service takes on no more than it can hold, and says so before the kernel does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from runtime.channels import dial
from runtime.errors import from_rpc
from runtime.server import Server
from runtime.settings import ServiceSettings
from switchboard.v3 import router_pb2_grpc
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import ServerFrame, StreamText
from switchboard.v3.router_pb2 import (
    ConverseInput,
    ConverseOutput,
    ConverseRequest,
    ConverseResponse,
    ConverseStart,
    RouteRequest,
    RouteResponse,
    RouterServiceListToolsRequest,
    RouterServiceListToolsResponse,
)

MIB = 1024 * 1024


class Echo(router_pb2_grpc.RouterServiceServicer):
    """Says something for each thing that it hears."""

    async def Route(self, request: RouteRequest, context: object) -> RouteResponse:
        return RouteResponse(agent_name="task_agent")

    async def Converse(
        self, requests: AsyncIterator[ConverseRequest], context: object
    ) -> AsyncIterator[ConverseResponse]:
        async for request in requests:
            frame = ServerFrame(stream_text=StreamText(chunk="heard"))
            outputs = [ConverseOutput(frame=frame)]
            yield ConverseResponse(request_id=request.request_id, outputs=outputs)

    async def ListTools(
        self, request: RouterServiceListToolsRequest, context: object
    ) -> RouterServiceListToolsResponse:
        return RouterServiceListToolsResponse()


@asynccontextmanager
async def service(
    servicer: Echo | None = None, **given: int
) -> AsyncIterator[router_pb2_grpc.RouterServiceAsyncStub]:
    settings = ServiceSettings.model_validate(given)
    server = Server(settings, "router_svc", [])
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer or Echo(), server.grpc)
    port = await server.start()
    async with dial(f"127.0.0.1:{port}", settings) as channel:
        yield router_pb2_grpc.RouterServiceStub(channel)
    await server.stop()


class Listening(Echo):
    """Hears in a task of its own, as the router does, while it says something by itself."""

    def __init__(self) -> None:
        self.heard: list[asyncio.Task[int]] = []

    async def Converse(
        self, requests: AsyncIterator[ConverseRequest], context: object
    ) -> AsyncIterator[ConverseResponse]:
        first = await anext(requests)

        async def count() -> int:
            return len([each async for each in requests])

        self.heard.append(asyncio.create_task(count()))
        while True:
            yield ConverseResponse(request_id=first.request_id)
            await asyncio.sleep(0.001)


def said(size: int) -> ConverseRequest:
    start = ConverseStart(user_id="u", message="x" * size)
    return ConverseRequest(request_id="r", inputs=[ConverseInput(start=start)])


async def overloaded(call: grpc.aio.StreamStreamCall[ConverseRequest, ConverseResponse]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call))
    refused = from_rpc(caught.value)
    assert (refused.code, refused.retry_after_ms) == (ErrorCode.ERROR_CODE_OVERLOADED, 1_000)


async def test_what_a_call_was_sent_is_held_until_it_is_over() -> None:
    async with service(max_held_bytes=2_000) as stub:
        first, second = stub.Converse(), stub.Converse()
        await first.write(said(800))
        heard = aiter(first)
        await anext(heard)
        await second.write(said(800))
        await overloaded(second)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Route(RouteRequest(message="x" * 800))
        assert from_rpc(caught.value).code == ErrorCode.ERROR_CODE_OVERLOADED
        await stub.Route(RouteRequest(message="short"))
        await first.done_writing()
        assert [response async for response in heard] == []
        third = stub.Converse()
        await third.write(said(800))
        await anext(aiter(third))
        third.cancel()


async def test_a_call_that_grows_past_what_there_is_ends() -> None:
    async with service(max_held_bytes=10_000) as stub:
        call = stub.Converse()
        await call.write(said(100))
        await call.write(said(9_000))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert from_rpc(caught.value).code == ErrorCode.ERROR_CODE_OVERLOADED
        await stub.Route(RouteRequest(message="x" * 4_000))


async def test_who_still_reads_a_call_that_was_ended_reads_its_end() -> None:
    servicer = Listening()
    async with service(servicer, max_held_bytes=10_000) as stub:
        call = stub.Converse()
        await call.write(said(100))
        await call.write(said(9_000))
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in call:
                pass
        assert await asyncio.wait_for(servicer.heard[0], 10) <= 1


async def test_near_the_limit_of_memory_nothing_more_is_taken_on() -> None:
    # Any process is past a limit of one MiB; what runs alone is served all the same.
    async with service(memory_limit=MIB, max_held_bytes=MIB) as stub:
        await stub.Route(RouteRequest(message="hi"))
        first = stub.Converse()
        await first.write(said(100))
        await anext(aiter(first))
        await overloaded(stub.Converse())
        first.cancel()
        async with asyncio.timeout(10):
            while True:
                try:
                    await stub.Route(RouteRequest(message="hi"))
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"memory_limit": 512 * MIB}, 64 * MIB),
        ({"max_held_bytes": 5, "memory_limit": 512 * MIB}, 5),
        ({"memory_limit": 1}, 1),
    ],
)
def test_what_may_be_held_follows_from_the_memory(given: dict[str, int], held: int) -> None:
    assert ServiceSettings.model_validate(given).held_bytes == held
