"""The services around the router, scripted: each a real gRPC server on loopback.

    async with Peers() as peers:
        peers.agent.script = my_agent            # async def my_agent(run: AgentRun)
        peers.memory.items = [MemoryItem(...)]
        ...                                      # dial peers.agent_addr, peers.memory_addr …

An agent's script says, calls tools and ends through its `AgentRun`; a formatter's gets
each input and sends through its `FormatRun`. The defaults: the agent says "Hello world",
the formatter passes text on as it is, memory is empty and keeps everything.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import grpc

from runtime.errors import SwitchboardError
from runtime.server import Server
from runtime.settings import ServiceSettings
from switchboard.v3 import agent_pb2_grpc, formatter_pb2_grpc, memory_pb2_grpc
from switchboard.v3.agent_pb2 import (
    DeviceToolCall,
    ListAgentsRequest,
    ListAgentsResponse,
    ListToolsRequest,
    ListToolsResponse,
    RunActivity,
    RunEnd,
    RunOutput,
    RunRequest,
    RunResponse,
    RunStart,
    RunText,
    ToolSpec,
)
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.formatter_pb2 import (
    FormatEnd,
    FormatFlushed,
    FormatInput,
    FormatOutput,
    FormatRequest,
    FormatResponse,
    FormatStart,
)
from switchboard.v3.frames_pb2 import (
    ActivityState,
    Domain,
    EndStatus,
    MutationOp,
    PopupDomain,
    ServerFrame,
    StreamText,
    ToolCall,
    ToolResult,
    Usage,
)
from switchboard.v3.memory_pb2 import (
    EnrichContextRequest,
    EnrichContextResponse,
    MemoryItem,
    StoreEpisodeRequest,
    StoreEpisodeResponse,
)
from switchboard.v3.values_pb2 import Json

Context = grpc.aio.ServicerContext[Any, Any]

DOMAINS: Final = {
    "task_agent": Domain.DOMAIN_TASKS,
    "checkpoint_agent": Domain.DOMAIN_CHECKPOINTS,
    "note_agent": Domain.DOMAIN_NOTES,
    "project_agent": Domain.DOMAIN_PROJECTS,
}


class LostPeer(Exception):
    """Raised by a script: the stream breaks here, without an end."""


class AgentRun:
    """One run of the scripted agent."""

    def __init__(self, request_id: str, start: RunStart) -> None:
        self.request_id = request_id
        self.start = start
        self.cancelled = asyncio.Event()  # a cancel came
        self.over = asyncio.Event()  # the call is over, in one way or another
        self.time_left: float | None = None  # of the call as it came, in seconds
        self.results: list[ToolResult] = []
        self.sent = 0  # messages written
        self._outputs: asyncio.Queue[RunOutput | None] = asyncio.Queue(1)
        self._answers: dict[str, asyncio.Future[ToolResult]] = {}
        self._ids = itertools.count(1)

    async def put(self, output: RunOutput) -> None:
        """Sends an output as a message of its own; waits while the router does not read."""
        await self._outputs.put(output)

    async def say(self, *pieces: str) -> None:
        """Text, piece by piece."""
        for piece in pieces:
            await self.put(RunOutput(text=RunText(text=piece)))

    async def show(self, state: ActivityState.ValueType, tool: str | None = None) -> None:
        """An activity."""
        await self.put(RunOutput(activity=RunActivity(state=state, tool=tool)))

    async def call(
        self,
        name: str,
        entity: EntityKind.ValueType = EntityKind.ENTITY_KIND_TASK,
        effect: MutationOp.ValueType | None = None,
    ) -> ToolResult:
        """Calls a tool of the device, and waits for its answer."""
        call_id = f"call-{next(self._ids)}"
        self._answers[call_id] = asyncio.get_running_loop().create_future()
        call = ToolCall(
            request_id=self.request_id,
            call_id=call_id,
            name=name,
            arguments=Json(utf8=b"{}"),
            deadline_ms=30_000,
        )
        tool_call = DeviceToolCall(call=call, entity=entity, effect=effect)
        await self.put(RunOutput(tool_call=tool_call))
        return await self._answers[call_id]

    async def end(
        self,
        status: EndStatus.ValueType = EndStatus.END_STATUS_COMPLETED,
        error: Error | None = None,
        usage: Usage | None = None,
    ) -> None:
        """The end; by default completed, at a cost of 10 + 5 tokens."""
        cost = usage or Usage(input_tokens=10, output_tokens=5, model_calls=1)
        await self.put(RunOutput(end=RunEnd(status=status, error=error, usage=cost)))

    async def play(self, script: AgentScript) -> None:
        await script(self)
        await self._outputs.put(None)

    async def listen(self, requests: AsyncIterator[RunRequest]) -> None:
        async for request in requests:
            for given in request.inputs:
                if given.HasField("tool_result"):
                    self.results.append(given.tool_result)
                    self._answers[given.tool_result.call_id].set_result(given.tool_result)
                elif given.HasField("cancel"):
                    self.cancelled.set()

    async def outputs(self) -> AsyncIterator[RunResponse]:
        while (output := await self._outputs.get()) is not None:
            self.sent += 1
            yield RunResponse(request_id=self.request_id, outputs=[output])


AgentScript = Callable[[AgentRun], Awaitable[None]]


async def says_hello(run: AgentRun) -> None:
    """The default script."""
    await run.say("Hello ", "world")
    await run.end()


class ScriptedAgent(agent_pb2_grpc.AgentServiceServicer):
    """The agent service; `runs` are those that came, in order."""

    def __init__(self) -> None:
        self.script: AgentScript = says_hello
        self.runs: list[AgentRun] = []
        self.tools = [ToolSpec(name="list_tasks", description="Lists tasks.")]

    async def Run(
        self, request_iterator: AsyncIterator[RunRequest], context: Context
    ) -> AsyncIterator[RunResponse]:
        first = await anext(request_iterator)
        run = AgentRun(first.request_id, first.inputs[0].start)
        run.time_left = context.time_remaining()
        self.runs.append(run)
        listening = asyncio.create_task(run.listen(request_iterator))
        playing = asyncio.create_task(run.play(self.script))
        outputs = run.outputs()
        try:
            while True:
                nxt = asyncio.ensure_future(anext(outputs, None))
                await asyncio.wait({nxt, playing}, return_when=asyncio.FIRST_COMPLETED)
                if not nxt.done() and playing.done() and playing.exception() is not None:
                    nxt.cancel()
                    return  # the script lost its stream
                response = await nxt
                if response is None:
                    return
                yield response
        finally:
            run.over.set()
            for task in (listening, playing):
                task.cancel()
            await asyncio.gather(listening, playing, return_exceptions=True)

    async def ListAgents(self, request: ListAgentsRequest, context: Context) -> ListAgentsResponse:
        return ListAgentsResponse()

    async def ListTools(self, request: ListToolsRequest, context: Context) -> ListToolsResponse:
        return ListToolsResponse(tools=self.tools)


class FormatRun:
    """One answer of the scripted formatter."""

    def __init__(self, request_id: str, start: FormatStart) -> None:
        self.request_id = request_id
        self.start = start
        self.inputs: list[FormatInput] = []
        self.over = asyncio.Event()
        self.time_left: float | None = None  # of the call as it came, in seconds
        self._outputs: list[FormatOutput] = []

    def send(self, frame: ServerFrame) -> None:
        """Sends a frame."""
        self._outputs.append(FormatOutput(frame=frame))

    def end(self) -> None:
        """Sends the end."""
        self._outputs.append(FormatOutput(end=FormatEnd()))

    def flushed(self) -> None:
        """Says that all of what came is formatted."""
        self._outputs.append(FormatOutput(flushed=FormatFlushed()))

    def taken(self) -> FormatResponse:
        outputs, self._outputs = self._outputs, []
        return FormatResponse(request_id=self.request_id, outputs=outputs)


FormatScript = Callable[[FormatRun, FormatInput], Awaitable[None]]


async def passes_on(run: FormatRun, given: FormatInput) -> None:
    """The default script: the domain of a popup at once, then text as it is."""
    request_id = run.request_id
    match given.WhichOneof("input"):
        case "start" if given.start.agent_name in DOMAINS and given.start.surface == 2:
            domain = PopupDomain(request_id=request_id, domain=DOMAINS[given.start.agent_name])
            run.send(ServerFrame(popup_domain=domain))
        case "text":
            text = StreamText(request_id=request_id, chunk=given.text.text)
            run.send(ServerFrame(stream_text=text))
        case "flush":
            run.flushed()
        case "close":
            run.end()


class ScriptedFormatter(formatter_pb2_grpc.FormatterServiceServicer):
    """The formatter service; `runs` are those that came, in order."""

    def __init__(self) -> None:
        self.script: FormatScript = passes_on
        self.runs: list[FormatRun] = []

    async def Format(
        self, request_iterator: AsyncIterator[FormatRequest], context: Context
    ) -> AsyncIterator[FormatResponse]:
        run: FormatRun | None = None
        try:
            async for request in request_iterator:
                for given in request.inputs:
                    if run is None:
                        run = FormatRun(request.request_id, given.start)
                        run.time_left = context.time_remaining()
                        self.runs.append(run)
                    run.inputs.append(given)
                    await self.script(run, given)
                if run is not None and (response := run.taken()).outputs:
                    yield response
                    if any(output.HasField("end") for output in response.outputs):
                        return
        except LostPeer:
            return
        finally:
            if run is not None:
                run.over.set()


class ScriptedMemory(memory_pb2_grpc.MemoryServiceServicer):
    """The memory service. `enriching` and `storing` are gates, open unless a test shuts them."""

    def __init__(self) -> None:
        self.items: list[MemoryItem] = []
        self.asked: list[EnrichContextRequest] = []
        self.episodes: dict[str, StoreEpisodeRequest] = {}
        self.attempts = 0
        self.failures: list[ErrorCode.ValueType] = []  # StoreEpisode raises these first
        self.enriching = asyncio.Event()
        self.storing = asyncio.Event()
        self.enriching.set()
        self.storing.set()
        self.stored = asyncio.Condition()

    async def EnrichContext(
        self, request: EnrichContextRequest, context: Context
    ) -> EnrichContextResponse:
        self.asked.append(request)
        await self.enriching.wait()
        return EnrichContextResponse(items=self.items)

    async def StoreEpisode(
        self, request: StoreEpisodeRequest, context: Context
    ) -> StoreEpisodeResponse:
        self.attempts += 1
        if self.failures:
            raise SwitchboardError(self.failures.pop(0), "scripted failure")
        await self.storing.wait()
        async with self.stored:
            created = request.request_id not in self.episodes
            self.episodes[request.request_id] = request
            self.stored.notify_all()
        return StoreEpisodeResponse(episode_id=request.request_id, created=created)

    async def episode(self, request_id: str, timeout: float = 10) -> StoreEpisodeRequest:
        """The exchange, once it is stored."""
        async with asyncio.timeout(timeout), self.stored:
            await self.stored.wait_for(lambda: request_id in self.episodes)
        return self.episodes[request_id]


class Peers:
    """All three, or those named ("agent", "formatter", "memory"), each on a port of its own."""

    def __init__(self, *names: str) -> None:
        self._names = names or tuple(_ADD)
        self.agent = ScriptedAgent()
        self.formatter = ScriptedFormatter()
        self.memory = ScriptedMemory()  # type: ignore[abstract] # the rest is UNIMPLEMENTED
        self.servers: dict[str, Server] = {}
        self._ports: dict[str, int] = {}
        self._stack = AsyncExitStack()

    @property
    def agent_addr(self) -> str:
        return f"127.0.0.1:{self._ports['agent']}"

    @property
    def formatter_addr(self) -> str:
        return f"127.0.0.1:{self._ports['formatter']}"

    @property
    def memory_addr(self) -> str:
        return f"127.0.0.1:{self._ports['memory']}"

    async def stop(self, name: str) -> None:
        """Stops one at once: its streams break."""
        await self.servers[name].stop()

    async def start(self, name: str) -> None:
        """Starts one, on its old port where it had one."""
        settings = ServiceSettings(listen_addr=f"127.0.0.1:{self._ports.get(name, 0)}")
        server = Server(settings, name, [])
        _ADD[name](getattr(self, name), server.grpc)
        self._ports[name] = await server.start()
        self.servers[name] = server
        self._stack.push_async_callback(server.stop)

    async def __aenter__(self) -> Self:
        for name in self._names:
            await self.start(name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for event in (self.memory.enriching, self.memory.storing):
            event.set()
        await self._stack.aclose()


_ADD: Final[Mapping[str, Callable[[Any, grpc.aio.Server], None]]] = {
    "agent": agent_pb2_grpc.add_AgentServiceServicer_to_server,
    "formatter": formatter_pb2_grpc.add_FormatterServiceServicer_to_server,
    "memory": memory_pb2_grpc.add_MemoryServiceServicer_to_server,
}
