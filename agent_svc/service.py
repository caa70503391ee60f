"""AgentService: protobuf in and out, around the tool loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
)
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc

from agent_svc import metrics, times
from agent_svc.agents import AGENTS, Agent, Budgets
from agent_svc.catalogue import CATALOGUE
from agent_svc.loop import CallsModel, Loop, Surroundings
from agent_svc.memory import MemoryTools
from agent_svc.prompt import conversation
from agent_svc.unshown import unshown
from agent_svc.untrusted import Approve, in_start
from runtime import held, logs, quoting
from runtime.errors import SwitchboardError
from runtime.stream import BoundedStream
from switchboard.v3 import agent_pb2, agent_pb2_grpc
from switchboard.v3.agent_pb2 import (
    DeviceToolCall,
    NothingShown,
    RunEnd,
    RunInput,
    RunOutput,
    RunRequest,
    RunResponse,
    RunStart,
)
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus, ToolResult

if TYPE_CHECKING:  # the stubs' name for it, which is not there at run time
    from switchboard.v3.memory_pb2_grpc import MemoryServiceAsyncStub

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

MAX_QUEUED: Final = 64
"""Outputs that wait for the router. Then the model is no longer read; all go out as one message."""


VERDICT_S: Final = 30.0
"""After a completed answer, how long the router may take to see whether any of it could be shown:
its own reader, a slow client, is behind that."""


class AsksModel(CallsModel, Protocol):
    """What the service needs of a model."""

    @property
    def takes_tools(self) -> bool:
        """Whether it can call any, as far as is known."""


class AgentServicer(agent_pb2_grpc.AgentServiceServicer):
    """Runs agents. `budgets`: from an agent's own to those that hold here; `approve`: what users
    are asked for after the agent has read what others may have written."""

    def __init__(
        self,
        model: AsksModel,
        memory: MemoryServiceAsyncStub,
        budgets: Callable[[Budgets], Budgets],
        approve: Approve = "deletes",
    ) -> None:
        self._model = model
        self._memory = memory
        self._budgets = budgets
        self._approve: Approve = approve

    async def Run(  # noqa: N802 - the name in the contract
        self, request_iterator: AsyncIterator[RunRequest], context: Context
    ) -> AsyncIterator[RunResponse]:
        """Runs one agent for one request."""
        first = await anext(aiter(request_iterator), None)
        if first is None or not first.inputs or not first.inputs[0].HasField("start"):
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_INVALID_FRAME, "The first input must be start."
            )
        start = first.inputs[0].start
        agent = AGENTS.get(start.agent_name)
        if agent is None:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such agent.")
        with logs.bind(
            request_id=first.request_id, user_id=start.user_id, device_id=start.device_id
        ):
            run = _Run(
                first.request_id,
                agent,
                start,
                model=self._model,
                memory=self._memory,
                budgets=self._budgets(agent.budgets),
                approve=self._approve,
            )
            async with aclosing(run.outputs(first.inputs[1:], request_iterator)) as batches:
                async for outputs in batches:
                    response = RunResponse(request_id=first.request_id, outputs=outputs)
                    held.keep(response.ByteSize())  # the model is told what it said
                    yield response

    async def ListAgents(  # noqa: N802 - the name in the contract
        self, request: agent_pb2.ListAgentsRequest, context: Context
    ) -> agent_pb2.ListAgentsResponse:
        """Lists the agents."""
        return agent_pb2.ListAgentsResponse(agents=[agent.to_proto() for agent in AGENTS.values()])

    async def ListTools(  # noqa: N802 - the name in the contract
        self, request: agent_pb2.ListToolsRequest, context: Context
    ) -> agent_pb2.ListToolsResponse:
        """Lists the tool catalogue."""
        return agent_pb2.ListToolsResponse(tools=[tool.to_proto() for tool in CATALOGUE.values()])


class _Run:
    """One run: its loop, what waits to go out, and the tool calls that wait for the device."""

    def __init__(
        self,
        request_id: str,
        agent: Agent,
        start: RunStart,
        *,
        model: AsksModel,
        memory: MemoryServiceAsyncStub,
        budgets: Budgets,
        approve: Approve,
    ) -> None:
        self._out: BoundedStream[RunOutput] = BoundedStream(MAX_QUEUED)
        self._request_id = request_id
        self._agent = agent.name
        self._running: asyncio.Task[None] | None = None
        self._stopped = self._mended = self._inputs_over = False
        self._end: RunEnd | None = None  # what ended it, unless it is mended
        self._patience: asyncio.TimerHandle | None = None
        self._waiting: dict[str, asyncio.Future[ToolResult]] = {}
        now = datetime.now(times.zone(start.timezone))
        self._loop = Loop(
            conversation(agent, start, now, tools=model.takes_tools),
            offered(agent, start) if model.takes_tools else [],
            budgets,
            Surroundings(
                model,
                self._out.put,
                self._execute_on_client,
                MemoryTools(memory, start.user_id).by_name(),
                now,
                quoting.own(start.message, start.quoted),
                in_start(start),
                approve,
            ),
        )

    async def outputs(
        self, inputs: Iterable[RunInput], requests: AsyncIterator[RunRequest]
    ) -> AsyncGenerator[list[RunOutput], None]:
        """The batches to send. Everything that was started is over when this is."""
        self._start(self._loop.run())
        self._take(inputs)
        listening = asyncio.create_task(self._listen(requests))
        try:
            async for batch in self._out:
                yield batch
        finally:
            listening.cancel()
            self._stop()
            await asyncio.gather(*filter(None, (self._running, listening)), return_exceptions=True)

    def _start(self, run: Coroutine[Any, Any, None]) -> None:
        self._running = asyncio.create_task(run)
        self._running.add_done_callback(self._finish)

    def _finish(self, run: asyncio.Task[None]) -> None:
        """However the run ended, even before its first step, `end` is the last output; but where
        it was completed, and the router may still say that nothing of it could be shown."""
        self._end = _FAULT
        try:
            self._end = self._end_of(_why(run))
        except Exception:
            log.exception("the end of a run could not be told whole")
        self._out.put_now(RunOutput(end=self._end))
        completed = self._end.status == EndStatus.END_STATUS_COMPLETED
        if completed and not self._mended and not self._inputs_over:
            self._patience = asyncio.get_running_loop().call_later(VERDICT_S, self._close)
        else:
            self._close()

    def _close(self) -> None:
        """The run is over for good; once."""
        if self._end is not None:
            metrics.ended(self._agent, self._end)
            self._forget_end()
            self._out.close()

    def _forget_end(self) -> None:
        self._end = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _mend(self, shown: NothingShown) -> None:
        """Nothing of the answer could be shown: the model is asked once more."""
        if self._patience is None:
            log.warning("nothing_shown has no place here")
            return
        self._forget_end()
        self._mended = True
        self._start(self._loop.mend(unshown(shown)))

    def _end_of(self, error: SwitchboardError | None) -> RunEnd:
        status = EndStatus.END_STATUS_COMPLETED
        if error is not None:
            cancelled = error.code == ErrorCode.ERROR_CODE_CANCELLED
            status = EndStatus.END_STATUS_CANCELLED if cancelled else EndStatus.END_STATUS_FAILED
        return RunEnd(
            status=status,
            error=error.to_proto() if error else None,
            usage=self._loop.cost().to_proto(),
            tool_results=self._loop.tool_results,
        )

    async def _listen(self, requests: AsyncIterator[RunRequest]) -> None:
        """Takes inputs until the stream ends; without a cancel before, the router is lost, unless
        the run has ended."""
        try:
            async for request in requests:
                self._take(request.inputs)
        finally:
            self._inputs_over = True
            self._stop()

    def _stop(self) -> None:
        """Cancels the run, once: a second time would break off the closing of its model call."""
        if self._patience is not None:
            self._close()
        elif not self._stopped and self._running is not None:
            self._stopped = True
            self._running.cancel()

    def _take(self, inputs: Iterable[RunInput]) -> None:
        for given in inputs:
            match given.WhichOneof("input"):
                case "tool_result":
                    self._answer(given.tool_result)
                case "cancel":
                    self._stop()
                case "nothing_shown":
                    self._mend(given.nothing_shown)
                case other:
                    log.warning("an input that has no place here: %s", other)

    def _answer(self, result: ToolResult) -> None:
        """Hands a result to its call: the first wins, one that nobody waits for is dropped."""
        future = self._waiting.pop(result.call_id, None)
        if future is not None and not future.done():
            future.set_result(result)

    async def _execute_on_client(self, call: DeviceToolCall) -> ToolResult:
        call.call.request_id = self._request_id
        future: asyncio.Future[ToolResult] = asyncio.get_running_loop().create_future()
        self._waiting[call.call.call_id] = future
        try:
            # Past the bound: a call must not wait behind its own answer's text.
            self._out.put_now(RunOutput(tool_call=call))
            return await future
        finally:
            self._waiting.pop(call.call.call_id, None)


def _why(run: asyncio.Task[None]) -> SwitchboardError | None:
    """Why a run that is over was not completed."""
    if run.cancelled():
        return SwitchboardError(ErrorCode.ERROR_CODE_CANCELLED, "The request was cancelled.")
    match run.exception():
        case None:
            return None
        case SwitchboardError() as error:
            return error
        case fault:
            log.error("a run failed by a fault of our own", exc_info=fault)
            return _internal()


def _internal() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")


_FAULT: Final = RunEnd(status=EndStatus.END_STATUS_FAILED, error=_internal().to_proto())
"""What ends a run where its own end cannot be made."""


def offered(agent: Agent, start: RunStart) -> list[str]:
    """The agent's tools that can run now: on the server, or on a device that has them."""
    announced = frozenset(start.tools.values) if start.HasField("tools") else None
    return [
        name
        for name in agent.tools
        if CATALOGUE[name].runs_on_server or (start.device_connected and _has(announced, name))
    ]


def _has(announced: Collection[str] | None, name: str) -> bool:
    """Whether a device has a tool: it says so, or says nothing and has those of the beginning."""
    return not CATALOGUE[name].named_only if announced is None else name in announced
