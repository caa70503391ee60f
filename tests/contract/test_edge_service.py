"""EdgeService as another edge meets it: over a real gRPC server, with no broker at all."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest

from runtime.channels import dial
from runtime.settings import Settings
from switchboard.v3.edge_pb2 import (
    AttachRequest,
    AttachResponse,
    AttachStart,
    AttachState,
    ChatRequest,
    DeliverRequest,
)
from switchboard.v3.edge_pb2_grpc import EdgeServiceStub
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import (
    Cancel,
    ClientFrame,
    EndStatus,
    HomeRequest,
    ServerFrame,
    ToolResult,
)
from switchboard.v3.values_pb2 import Json
from tests.support.edge_stack import DeviceSocket, EdgeStack, edge_stack, eventually
from tests.support.scripted_router import Turn

if TYPE_CHECKING:
    from switchboard.v3.edge_pb2_grpc import EdgeServiceAsyncStub

Attach = grpc.aio.StreamStreamCall[AttachRequest, AttachResponse]


@dataclass(slots=True)
class Owner:
    """An edge whose broker never comes, and a channel to its EdgeService."""

    stack: EdgeStack
    edge: "EdgeServiceAsyncStub"

    async def begin(self) -> tuple[DeviceSocket, str]:
        """A request whose device has its first frame."""
        device, request_id = await self.stack.device(), str(uuid4())
        await device.send("home_request", message="x", request_id=request_id)
        await device.expect("stream_start")
        return device, request_id

    async def attach(
        self,
        request_id: str,
        after: int = 0,
        user_id: str = "user-1",
        device_id: str = "laptop",
        hello_ns: int = 0,
    ) -> tuple[Attach, AttachState.ValueType]:
        call = self.edge.Attach(timeout=20)
        start = AttachStart(
            user_id=user_id, device_id=device_id, after_seq=after, hello_unix_ns=hello_ns
        )
        await call.write(AttachRequest(request_id=request_id, start=start))
        return call, (await read(call)).state


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    async with edge_stack(nats_url="nats://127.0.0.1:1") as stack:
        found = re.search(r"127\.0\.0\.1:\d+", repr(stack.edge.devices.others))
        assert found
        async with dial(found[0], Settings()) as channel:
            yield Owner(stack, EdgeServiceStub(channel))


async def read(call: Attach) -> AttachResponse:
    response = await call.read()
    assert isinstance(response, AttachResponse)
    return response


async def frames(call: Attach) -> list[ServerFrame]:
    """All that is still to come."""
    found: list[ServerFrame] = []
    while isinstance(response := await call.read(), AttachResponse):
        found += response.frames
    return found


async def held(turn: Turn) -> None:
    """Waits for a tool's result, or for a cancel; says the result."""
    result = await turn.call()
    await turn.text(result.result.utf8.decode())
    await turn.end()


async def test_an_edge_without_its_broker_is_ready(owner: Owner) -> None:
    assert (await owner.stack.call("GET", "/readyz"))[0] == 200
    device, _ = await owner.begin()
    assert (await device.until("stream_end"))[-1]["status"] == "completed"


async def test_a_device_that_said_hello_here_since_then_is_not_read_elsewhere(
    owner: Owner,
) -> None:
    goes_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await goes_on.wait()
        await turn.end()

    owner.stack.behind.router.script = script
    before = time.time_ns()
    device, request_id = await owner.begin()
    _, state = await owner.attach(request_id, hello_ns=before)
    assert state == AttachState.ATTACH_STATE_LOST
    goes_on.set()
    assert (await device.until("stream_end"))[-1]["status"] == "completed"
    await owner.attach(request_id, hello_ns=time.time_ns())
    assert await device.closed() == 4409


async def test_what_is_not_this_devices_is_lost(owner: Owner) -> None:
    _, request_id = await owner.begin()
    for strange in (
        {"request_id": str(uuid4())},
        {"user_id": "user-2"},
        {"device_id": "phone"},
        {"after": 99},
    ):
        call, state = await owner.attach(**{"request_id": request_id, **strange})  # type: ignore[arg-type]
        assert state == AttachState.ATTACH_STATE_LOST
        assert await call.read() is grpc.aio.EOF


async def test_frames_come_numbered_to_the_end_and_results_go_back(owner: Owner) -> None:
    owner.stack.behind.router.script = held
    device, request_id = await owner.begin()
    await device.expect("tool_call")
    call, state = await owner.attach(request_id, after=1)
    assert state == AttachState.ATTACH_STATE_ATTACHED
    assert await device.closed() == 4409
    (asked,) = (await read(call)).frames
    assert (asked.tool_call.seq, asked.tool_call.request_id) == (2, request_id)
    for call_id in ("nobody's", asked.tool_call.call_id):
        result = ToolResult(call_id=call_id, result=Json(utf8=b'"7"'))
        said = [ClientFrame(tool_result=result)]
        await call.write(AttachRequest(request_id=request_id, frames=said))
    got = await frames(call)
    (error,) = [frame.error for frame in got if frame.HasField("error")]
    assert error.code == ErrorCode.ERROR_CODE_TOOL_CALL_UNKNOWN
    text, end = (frame for frame in got if not frame.HasField("error"))
    assert (text.stream_text.seq, text.stream_text.chunk) == (3, '"7"')
    assert (end.stream_end.seq, end.stream_end.status) == (4, EndStatus.END_STATUS_COMPLETED)


async def test_a_newer_reader_takes_over(owner: Owner) -> None:
    owner.stack.behind.router.script = held
    _, request_id = await owner.begin()
    older, _ = await owner.attach(request_id, after=1)
    newer, state = await owner.attach(request_id, after=1)
    assert state == AttachState.ATTACH_STATE_ATTACHED
    while (response := await read(older)).state != AttachState.ATTACH_STATE_TAKEN:
        assert response.frames
    cancel = ClientFrame(cancel=Cancel(request_id=request_id))
    await newer.write(AttachRequest(request_id=request_id, frames=[cancel]))
    assert (await frames(newer))[-1].stream_end.status == EndStatus.END_STATUS_CANCELLED


async def test_a_bare_end_leaves_the_device_away(owner: Owner) -> None:
    owner.stack.behind.router.script = held
    _, request_id = await owner.begin()
    call, _ = await owner.attach(request_id, after=1)
    found = owner.stack.edge.devices.find("user-1", "laptop")
    assert found
    assert found.session.linked(request_id)
    await call.done_writing()
    await eventually(lambda: not found.session.linked(request_id))
    again = await owner.stack.device(resume={"requests": {request_id: 1}})
    assert again.ready["resumed"] == [request_id]
    await again.expect("tool_call")


async def test_a_whole_request_beside_the_socket(owner: Owner) -> None:
    asked = HomeRequest(message="x", request_id=str(uuid4()))
    async with asyncio.timeout(10):
        response = await owner.edge.Chat(ChatRequest(user_id="user-1", request=asked))
    *texts, end = response.frames
    assert "".join(frame.stream_text.chunk for frame in texts) == "Hello world"
    assert end.stream_end.status == EndStatus.END_STATUS_COMPLETED


async def test_late_results_are_taken_and_others_refused(owner: Owner) -> None:
    owner.stack.behind.router.script = held
    device, request_id = await owner.begin()
    asked = await device.expect("tool_call")
    await device.send("cancel", request_id=request_id)
    await device.until("stream_end")
    codes = []
    for call_id in (asked["call_id"], "nobody's"):
        result = ToolResult(call_id=call_id, result=Json(utf8=b"{}"))
        late = DeliverRequest(
            user_id="user-1", device_id="laptop", frame=ClientFrame(tool_result=result)
        )
        response = await owner.edge.Deliver(late, timeout=10)
        codes += [frame.error.code for frame in response.frames]
    assert codes == [
        ErrorCode.ERROR_CODE_TOOL_CALL_EXPIRED,
        ErrorCode.ERROR_CODE_TOOL_CALL_UNKNOWN,
    ]
