"""The agent service for tests: real gRPC on loopback, a scripted model, a small memory.

async with agents(script) as there:
    async with there.run(message="what is due?") as run:
        call = await run.tool_call()
        await run.answer(call, result={"items": []})
        end = await run.end()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import grpc
import orjson

from agent_svc.agents import Budgets
from agent_svc.model import Model
from agent_svc.service import AgentServicer
from agent_svc.settings import AgentSettings
from runtime.channels import dial
from runtime.model import client as runtime_model
from runtime.model.profiles import Changes
from runtime.server import Server
from switchboard.v3 import memory_pb2, memory_pb2_grpc
from switchboard.v3.agent_pb2 import (
    DeviceToolCall,
    NothingShown,
    RunCancel,
    RunEnd,
    RunInput,
    RunOutput,
    RunRequest,
    RunResponse,
    RunStart,
    Surface,
)
from switchboard.v3.agent_pb2_grpc import AgentServiceStub, add_AgentServiceServicer_to_server
from switchboard.v3.frames_pb2 import (
    EndStatus,
    SkippedBlock,
    ToolError,
    ToolRejection,
    ToolResult,
)
from switchboard.v3.values_pb2 import Json
from tests.support.model_server import ModelServer, Script
from tests.support.responses_server import ResponsesServer

if TYPE_CHECKING:
    from switchboard.v3.agent_pb2_grpc import AgentServiceAsyncStub

KEY = "sk-test-0123456789-not-to-be-seen"
"""The provider's key that the service is given."""


class Memory(memory_pb2_grpc.MemoryServiceServicer):
    """Keeps preferences in a dictionary and finds what it was made with."""

    def __init__(self, *items: memory_pb2.MemoryItem) -> None:
        self.items = items
        self.core: dict[tuple[str, str], str] = {}
        self.searches: list[memory_pb2.SearchRequest] = []

    async def UpdateCore(
        self, request: memory_pb2.UpdateCoreRequest, context: Any
    ) -> memory_pb2.UpdateCoreResponse:
        self.core[request.user_id, request.key] = request.value
        return memory_pb2.UpdateCoreResponse()

    async def Search(
        self, request: memory_pb2.SearchRequest, context: Any
    ) -> memory_pb2.SearchResponse:
        self.searches.append(request)
        return memory_pb2.SearchResponse(items=self.items)


@dataclass(slots=True)
class Run:
    """One run, seen from the router's side."""

    call: grpc.aio.StreamStreamCall[RunRequest, RunResponse]
    request_id: str
    batches: list[RunResponse] = field(default_factory=list)
    waits: bool = False
    """Whether the router has yet to say, after a completed end, that all is well."""
    _queue: list[RunOutput] = field(default_factory=list)

    async def send(self, *inputs: RunInput) -> None:
        await self.call.write(RunRequest(request_id=self.request_id, inputs=inputs))

    async def cancel(self) -> None:
        await self.send(RunInput(cancel=RunCancel()))

    async def answer(
        self,
        call: DeviceToolCall,
        *,
        result: object = None,
        error: tuple[str, str] | None = None,
        rejected: str | None = None,
    ) -> None:
        """Answers as the device would: with a result, unless told otherwise."""
        given = ToolResult(call_id=call.call.call_id)
        if error is not None:
            given.error.CopyFrom(ToolError(code=error[0], message=error[1]))
        elif rejected is not None:
            given.rejected.CopyFrom(ToolRejection(reason=rejected))
        else:
            given.result.CopyFrom(Json(utf8=orjson.dumps(result)))
        await self.send(RunInput(tool_result=given))

    async def next(self, timeout: float = 10) -> RunOutput:
        """The next output; raises EOFError at the end of the stream."""
        while not self._queue:
            async with asyncio.timeout(timeout):
                batch = await self.call.read()
            if not isinstance(batch, RunResponse):
                raise EOFError
            self.batches.append(batch)
            self._queue.extend(batch.outputs)
        output = self._queue.pop(0)
        completed = output.end.status == EndStatus.END_STATUS_COMPLETED
        if output.HasField("end") and completed and not self.waits:
            await self.call.done_writing()
        return output

    async def nothing_shown(self, *skipped: tuple[str, str]) -> None:
        """Says, after a completed end, that these blocks were skipped and nothing was left."""
        blocks = [SkippedBlock(block_type=kind, reason=reason) for kind, reason in skipped]
        self.waits = False
        await self.send(RunInput(nothing_shown=NothingShown(skipped=blocks)))

    async def until(self, kind: str) -> RunOutput:
        """The next output of this kind, past all others."""
        while (output := await self.next()).WhichOneof("output") != kind:
            assert output.WhichOneof("output") != "end", f"the run ended before {kind}: {output}"
        return output

    async def text(self) -> str:
        return (await self.until("text")).text.text

    async def tool_call(self) -> DeviceToolCall:
        return (await self.until("tool_call")).tool_call

    async def rest(self) -> list[RunOutput]:
        """All that is to come, to the end of the stream."""
        outputs = []
        while True:
            try:
                outputs.append(await self.next())
            except EOFError:
                return outputs

    async def end(self) -> RunEnd:
        """The end, which nothing may follow."""
        *_, last = await self.rest()
        assert last.WhichOneof("output") == "end"
        return last.end


@dataclass(slots=True)
class Agents:
    """A running agent service."""

    stub: AgentServiceAsyncStub
    model: ModelServer
    memory: Memory
    address: str

    @asynccontextmanager
    async def run(self, *extra: RunInput, **start: Any) -> AsyncGenerator[Run, None]:
        """Opens a run; what is left out of `start` is a Home question to the task agent."""
        given: dict[str, Any] = {
            "agent_name": "task_agent",
            "user_id": "user-1",
            "device_id": "device-1",
            "surface": Surface.SURFACE_HOME,
            "message": "what is due?",
            "device_connected": True,
        } | start
        call = self.stub.Run()
        run = Run(call, "request-1")
        await run.send(RunInput(start=RunStart(**given)), *extra)
        try:
            yield run
        finally:
            call.cancel()


@asynccontextmanager
async def agents(
    script: Script,
    *,
    budgets: Budgets | None = None,
    memory: Memory | None = None,
    api: Literal["chat", "responses"] = "chat",
    profile: Changes | None = None,
) -> AsyncIterator[Agents]:
    """An agent service whose model follows the script; `profile` is what is known of it."""
    profiles = [("*", profile)] if profile else []
    memory = memory or Memory()  # type: ignore[abstract] # the rest answers UNIMPLEMENTED
    async with ResponsesServer(script) as provider:
        settings = AgentSettings(
            listen_addr="127.0.0.1:0",
            openai_api_key=KEY,
            openai_base_url=provider.url,
            openai_api=api,
        )
        memory_server = Server(settings, "memory_svc", [])
        memory_pb2_grpc.add_MemoryServiceServicer_to_server(memory, memory_server.grpc)
        memory_port = await memory_server.start()
        server = Server(settings, "agent_svc", ["switchboard.v3.AgentService"])
        async with (
            runtime_model.client(settings) as client,
            dial(f"127.0.0.1:{memory_port}", settings) as memory_channel,
        ):
            servicer = AgentServicer(
                Model(client, settings.agent_model, settings.profiles(*profiles), backoff_s=0.01),
                memory_pb2_grpc.MemoryServiceStub(memory_channel),
                lambda own: budgets or own,
            )
            add_AgentServiceServicer_to_server(servicer, server.grpc)
            address = f"127.0.0.1:{await server.start()}"
            try:
                async with dial(address, settings) as channel:
                    yield Agents(AgentServiceStub(channel), provider, memory, address)
            finally:
                await server.stop(0)
                await memory_server.stop(0)
