"""One `Converse` stream, as the edge sees it.

turn = await Conversation(stub, "r1", message="What is overdue?").begin()
call = (await turn.until("tool_call")).tool_call
await turn.answer(call.call.call_id, b'{"items":[]}')
end = await turn.rest()          # one stream_end, the last output
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.frames_pb2 import StreamEnd, ToolResult
from switchboard.v3.router_pb2 import (
    ConverseCancel,
    ConverseInput,
    ConverseOutput,
    ConverseRequest,
    ConverseResponse,
    ConverseStart,
)
from switchboard.v3.values_pb2 import Json

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub


class Conversation:
    """One Converse stream, as the edge sees it."""

    def __init__(self, stub: RouterServiceAsyncStub, request_id: str, **start: Any) -> None:
        self.request_id = request_id
        self.call = stub.Converse()
        self.start = ConverseStart(
            **{
                "user_id": "u1",
                "device_id": "d1",
                "session_id": "s1",
                "surface": Surface.SURFACE_HOME,
                "message": "What is overdue?",
                "device_connected": True,
                **start,
            }
        )
        self.outputs: list[ConverseOutput] = []
        self.batches = 0

    async def send(self, *inputs: ConverseInput) -> None:
        await self.call.write(ConverseRequest(request_id=self.request_id, inputs=inputs))

    async def begin(self) -> Conversation:
        await self.send(ConverseInput(start=self.start))
        return self

    async def cancel(self) -> None:
        await self.send(ConverseInput(cancel=ConverseCancel()))

    async def answer(self, call_id: str, utf8: bytes) -> None:
        result = ToolResult(call_id=call_id, result=Json(utf8=utf8))
        await self.send(ConverseInput(tool_result=result))

    async def until(self, kind: str) -> ConverseOutput:
        """Reads up to the first output of this kind that was not read yet."""
        seen = len(self.outputs)
        while True:
            for output in self.outputs[seen:]:
                if kind_of(output) == kind:
                    return output
            seen = len(self.outputs)
            if not await self.read():
                raise AssertionError(f"the stream ended before {kind}: {self.kinds}")

    async def read(self) -> bool:
        message = await self.call.read()
        if not isinstance(message, ConverseResponse):
            return False
        assert message.request_id == self.request_id
        assert message.outputs
        self.batches += 1
        self.outputs += message.outputs
        return True

    async def rest(self) -> StreamEnd:
        """Reads to the end of the stream; one stream_end, its last output."""
        while await self.read():
            pass
        assert await self.call.code() is grpc.StatusCode.OK
        assert self.kinds.count("stream_end") == 1
        assert self.kinds[-1] == "stream_end"
        return self.outputs[-1].frame.stream_end

    @property
    def kinds(self) -> list[str]:
        return [kind_of(output) for output in self.outputs]

    @property
    def text(self) -> str:
        return "".join(output.frame.stream_text.chunk for output in self.outputs)


def kind_of(output: ConverseOutput) -> str:
    kind = output.WhichOneof("output") or "nothing"
    return output.frame.WhichOneof("frame") or "nothing" if kind == "frame" else kind
