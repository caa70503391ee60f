"""Errors: one table there, one back, over a real call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from runtime import budget
from runtime.channels import dial
from runtime.errors import DOMAIN, SwitchboardError, from_rpc, spec, word
from runtime.server import Server
from runtime.settings import ServiceSettings
from switchboard.v3 import router_pb2_grpc
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.router_pb2 import (
    ConverseRequest,
    ConverseResponse,
    RouteRequest,
    RouteResponse,
    RouterServiceListToolsRequest,
    RouterServiceListToolsResponse,
)

CODES = [value for value in ErrorCode.values() if value]
NAME = "switchboard.v3.RouterService"


class Router(router_pb2_grpc.RouterServiceServicer):
    """Raises what the test asks for."""

    def __init__(self) -> None:
        self.raises: Exception = RuntimeError()
        self.left: float | None = None

    async def Route(self, request: RouteRequest, context: object) -> RouteResponse:
        self.left = budget.remaining()
        raise self.raises

    async def Converse(
        self, requests: AsyncIterator[ConverseRequest], context: object
    ) -> AsyncIterator[ConverseResponse]:
        async for request in requests:
            yield ConverseResponse(request_id=request.request_id)
        raise self.raises

    async def ListTools(
        self, request: RouterServiceListToolsRequest, context: object
    ) -> RouterServiceListToolsResponse:
        return RouterServiceListToolsResponse()


@pytest.fixture
async def router() -> AsyncIterator[Pair]:
    settings = ServiceSettings()
    server, servicer = Server(settings, "router_svc", [NAME]), Router()
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server.grpc)
    port = await server.start()
    async with dial(f"127.0.0.1:{port}", settings) as channel:
        yield servicer, router_pb2_grpc.RouterServiceStub(channel)
    await server.stop()


Pair: TypeAlias = "tuple[Router, router_pb2_grpc.RouterServiceAsyncStub]"


@pytest.mark.parametrize("code", CODES, ids=word)
async def test_every_code_comes_back_as_it_was_raised(
    router: Pair, code: ErrorCode.ValueType
) -> None:
    servicer, stub = router
    servicer.raises = SwitchboardError(code, "For people — ünïcode.", 1500)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Route(RouteRequest())
    assert raised.value.code().value[0] == spec(code).grpc_code
    back = from_rpc(raised.value)
    assert (back.code, back.message, back.retry_after_ms) == (code, "For people — ünïcode.", 1500)
    assert back.to_proto().retryable is spec(code).retryable


async def test_streams_raise_the_same_after_what_was_sent(router: Pair) -> None:
    servicer, stub = router
    servicer.raises = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "It broke off.")
    call = stub.Converse()
    await call.write(ConverseRequest(request_id="r"))
    await call.done_writing()
    responses = aiter(call)
    assert (await anext(responses)).request_id == "r"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(responses)
    back = from_rpc(raised.value)
    assert back.code == ErrorCode.ERROR_CODE_MODEL_TRUNCATED and back.retry_after_ms is None


async def test_a_fault_of_our_own_tells_nothing_of_itself(
    router: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    servicer, stub = router
    servicer.raises = KeyError("the user's s3cret")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Route(RouteRequest())
    back = from_rpc(raised.value)
    assert (back.code, back.message) == (
        ErrorCode.ERROR_CODE_INTERNAL,
        "A fault of the server's own.",
    )
    assert "s3cret" not in str(raised.value) and "a call failed" in caplog.text


async def test_a_peer_that_is_not_there_is_service_unavailable() -> None:
    server = Server(ServiceSettings(), "router_svc", [NAME])
    port = await server.start()
    await server.stop()
    async with dial(f"127.0.0.1:{port}", ServiceSettings()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await router_pb2_grpc.RouterServiceStub(channel).Route(RouteRequest(), timeout=10)
    assert from_rpc(raised.value).code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE


@pytest.mark.parametrize("status", ["UNKNOWN", "INTERNAL", "CANCELLED", "ABORTED", "DATA_LOSS"])
def test_a_status_that_no_service_of_ours_made_is_a_lost_peer(status: str) -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode[status], grpc.aio.Metadata(), grpc.aio.Metadata(), "Stream removed"
    )
    meant = from_rpc(error)
    assert meant.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    assert meant.retryable
    assert "Stream" not in meant.message


async def test_the_time_that_is_left_is_known_where_a_call_is_served(router: Pair) -> None:
    servicer, stub = router
    servicer.raises = SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "None.")
    for timeout in (5.0, None):
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Route(RouteRequest(), timeout=timeout)
        if timeout:
            assert servicer.left is not None and 3 < servicer.left <= 5
        else:
            assert servicer.left is None


def test_words_and_facts() -> None:
    error = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "It broke off.")
    assert word(error.code) == "model_truncated"
    assert error.retryable and repr(error) == "SwitchboardError(model_truncated: It broke off.)"
    facts = spec(ErrorCode.ERROR_CODE_RATE_LIMITED)
    assert (facts.http_status, facts.retryable, facts.where) == (429, True, "error, REST")
    assert not error.to_proto().HasField("retry_after_ms")


def test_a_code_that_only_a_newer_peer_knows_is_read_by_its_status() -> None:
    info = error_details_pb2.ErrorInfo(reason="OUT_OF_COFFEE", domain=DOMAIN)
    packed = any_pb2.Any()
    packed.Pack(info)
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="m", details=[packed])
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), trailing, details="m"
    )
    assert from_rpc(error).code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
