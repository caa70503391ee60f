"""Carries a turn out: what the pure turn commands is done here, what happens is told to it.

Nothing here decides. Every reader tells the turn at once what it read, and reads on only
while what waits for the slowest reader behind it fits (`room`): so a cancel always gets
through, and a slow client still slows the model.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, assert_never

import grpc

from router_svc import metrics
from router_svc.backlog import Backlog
from router_svc.events import (
    AgentActivity,
    AgentEnd,
    AgentLost,
    AgentText,
    AgentToolCall,
    Cancelled,
    Classify,
    ClientLost,
    Command,
    DataAnswered,
    DeadlinePassed,
    Emit,
    Event,
    Fault,
    Finish,
    Flushed,
    FlushLate,
    Formatted,
    FormatterEnd,
    FormatterLost,
    GraceOver,
    OpenAgent,
    OpenFormatter,
    Recall,
    Recalled,
    Routed,
    SendAgent,
    SendFormatter,
    StartTimer,
    Store,
    Stored,
    Timer,
    ToolAnswered,
)
from router_svc.intent import Classifier
from router_svc.links import Link
from router_svc.routing import Question, estimate
from router_svc.turn import Turn
from runtime import budget, tracing
from runtime.stream import BoundedStream
from switchboard.v3.agent_pb2 import RunInput, RunOutput, RunRequest, RunResponse
from switchboard.v3.formatter_pb2 import FormatInput, FormatOutput, FormatRequest, FormatResponse
from switchboard.v3.memory_pb2 import EnrichContextRequest, StoreEpisodeRequest
from switchboard.v3.router_pb2 import ConverseInput, ConverseOutput, ConverseRequest, ConverseStart

if TYPE_CHECKING:
    from switchboard.v3.agent_pb2_grpc import AgentServiceAsyncStub
    from switchboard.v3.formatter_pb2_grpc import FormatterServiceAsyncStub
    from switchboard.v3.memory_pb2_grpc import MemoryServiceAsyncStub

log = logging.getLogger(__name__)

OUTPUTS: Final = 64
"""How many outputs may wait for the edge before agent and formatter are read no further."""

_FLUSH_S: Final = 0.2
"""How long a peer has to take the last inputs and end its stream before the call is cut."""


@dataclass(frozen=True, slots=True)
class Services:
    """What a turn is carried out with."""

    classifier: Classifier
    agent: AgentServiceAsyncStub
    formatter: FormatterServiceAsyncStub
    memory: MemoryServiceAsyncStub
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the steps of a turn may take, in seconds."""

    enrich_s: float = 1.5
    grace_s: float = 0.7
    deadline_s: float = 900


class Conductor:
    """One turn under way. `outputs` closes after the last; `close` lets everything go."""

    def __init__(
        self, request_id: str, start: ConverseStart, services: Services, limits: Limits
    ) -> None:
        self.outputs: BoundedStream[ConverseOutput] = BoundedStream(OUTPUTS)
        self._request_id = request_id
        self._start = start
        self._services = services
        self._limits = limits
        self._question = question_of(start)
        self._turn = Turn(request_id, start, estimate(self._question))
        self._agent: Link[RunInput, RunRequest, RunResponse] | None = None
        self._formatter: Link[FormatInput, FormatRequest, FormatResponse] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Conductor({self._turn!r}, {self.outputs!r})"

    def begin(self) -> None:
        """Starts the turn."""
        self._perform(self._turn.begin())

    def receive(self, inputs: Sequence[ConverseInput]) -> None:
        """What the client sends after its start."""
        for given in inputs:
            match given.WhichOneof("input"):
                case "tool_result":
                    self._feed(ToolAnswered(given.tool_result))
                case "data_response":
                    self._feed(DataAnswered(given.data_response))
                case "cancel":
                    self._feed(Cancelled())
                case _:
                    log.warning("an input that has no place here was left out")

    def listen(self, requests: AsyncIterator[ConverseRequest]) -> None:
        """Reads the client's stream until it ends; a bare end means that the client was lost."""
        self._spawn(self._listen_client(requests))

    def lose_client(self) -> None:
        """The client is gone; nothing where the turn is over."""
        self._feed(ClientLost())

    async def close(self) -> None:
        """Waits until all that the turn held is let go: tasks, timers and streams."""
        self.lose_client()
        if self._closing is not None:
            await asyncio.shield(self._closing)

    # --- the turn

    def _feed(self, event: Event) -> None:
        try:
            self._perform(self._turn.feed(event))
        except Exception:
            log.exception("a turn failed by a fault of our own")
            if not isinstance(event, Fault):
                self._feed(Fault())

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            self._do(command)

    def _do(self, command: Command) -> None:
        match command:
            case Emit(output):
                metrics.ended(output.frame)
                self.outputs.put_now(output)
            case SendFormatter(given):
                if self._formatter is not None:
                    self._formatter.send(given)
            case SendAgent(given):
                if self._agent is not None:
                    self._agent.send(given)
            case Classify():
                self._spawn(self._classify())
            case Recall():
                self._spawn(self._recall())
            case OpenFormatter():
                self._open_formatter()
            case OpenAgent():
                self._open_agent()
            case StartTimer(timer):
                self._start_timer(timer)
            case Store(episode, wait):
                self._store(episode, wait=wait)
            case Finish():
                self._finish()
            case _:
                assert_never(command)

    # --- its tasks and clocks

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of a turn failed by a fault of our own", exc_info=error)
            self._feed(Fault())

    def _start_timer(self, timer: Timer) -> None:
        match timer:
            case Timer.DEADLINE:
                self._call_later(budget.within(self._limits.deadline_s), DeadlinePassed())
            case Timer.GRACE:
                self._call_later(self._limits.grace_s, GraceOver())
            case Timer.FLUSH:
                self._call_later(self._limits.grace_s, FlushLate())
            case _:
                assert_never(timer)

    def _call_later(self, seconds: float, event: Event) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self._feed, event))

    def _finish(self) -> None:
        self.outputs.close()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._let_go())

    async def _let_go(self) -> None:
        for timer in self._timers:
            timer.cancel()
        links = [link for link in (self._agent, self._formatter) if link is not None]
        for link in links:
            link.finish()
        for task in self._tasks - self._streams:
            task.cancel()
        if self._streams:
            await asyncio.wait(self._streams, timeout=_FLUSH_S)
        for link in links:
            link.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the client

    async def _listen_client(self, requests: AsyncIterator[ConverseRequest]) -> None:
        try:
            async for request in requests:
                self.receive(request.inputs)
        except grpc.RpcError:
            pass  # it broke: the same as an end without an end
        self._feed(ClientLost())

    # --- choosing the agent, memory

    async def _classify(self) -> None:
        with tracing.span("classify_intent"):
            verdict = await self._services.classifier.classify_intent(self._question)
        log.info("routed to %s (%s)", verdict.agent, verdict.reason)
        metrics.routed(verdict)
        self._feed(Routed(verdict))

    async def _recall(self) -> None:
        request = EnrichContextRequest(user_id=self._start.user_id, message=self._start.message)
        if self._start.HasField("timezone"):
            request.timezone = self._start.timezone
        started = perf_counter()
        try:
            context = await self._services.memory.EnrichContext(
                request,
                timeout=budget.within(self._limits.enrich_s),
                metadata=tracing.carried(),
            )
        except grpc.aio.AioRpcError as error:
            log.warning("memory is left out: %s", error.code().name.lower())
            metrics.RECALL_SECONDS.labels("left_out").observe(perf_counter() - started)
            self._feed(Recalled(None))
        else:
            metrics.RECALL_SECONDS.labels("recalled").observe(perf_counter() - started)
            self._feed(Recalled(tuple(context.items)))

    def _store(self, episode: StoreEpisodeRequest, *, wait: bool) -> None:
        if wait:
            self._spawn(self._keep(episode))
        else:
            self._feed(Stored(self._services.backlog.later(episode)))

    async def _keep(self, episode: StoreEpisodeRequest) -> None:
        self._feed(Stored(await self._services.backlog.keep(episode)))

    def _time(self) -> float:
        """How long a stream of the turn may last, in seconds: a little longer than the turn,
        which ends it itself, so that this counts only where the router is lost or hangs."""
        return budget.within(self._limits.deadline_s) + self._limits.grace_s + _FLUSH_S

    # --- the agent

    def _open_agent(self) -> None:
        link: Link[RunInput, RunRequest, RunResponse] = Link(
            self._services.agent.Run(timeout=self._time(), metadata=tracing.carried()),
            lambda inputs: RunRequest(request_id=self._request_id, inputs=inputs),
        )
        self._agent = link
        self._streams |= {self._spawn(link.write()), self._spawn(self._listen_agent(link))}

    async def _listen_agent(self, link: Link[RunInput, RunRequest, RunResponse]) -> None:
        while True:
            await self._room_for_text()
            response = await link.read()
            if response is None:
                return self._feed(AgentLost())
            for output in response.outputs:
                if (event := _agent_event(output)) is not None:
                    self._feed(event)

    async def _room_for_text(self) -> None:
        await self.outputs.room()
        if self._formatter is not None:
            await self._formatter.room()

    # --- the formatter

    def _open_formatter(self) -> None:
        link: Link[FormatInput, FormatRequest, FormatResponse] = Link(
            self._services.formatter.Format(timeout=self._time(), metadata=tracing.carried()),
            lambda inputs: FormatRequest(request_id=self._request_id, inputs=inputs),
        )
        self._formatter = link
        self._streams |= {self._spawn(link.write()), self._spawn(self._listen_formatter(link))}

    async def _listen_formatter(
        self, link: Link[FormatInput, FormatRequest, FormatResponse]
    ) -> None:
        while True:
            await self.outputs.room()
            response = await link.read()
            if response is None:
                return self._feed(FormatterLost())
            for output in response.outputs:
                if (event := _formatter_event(output)) is not None:
                    self._feed(event)


def question_of(start: ConverseStart) -> Question:
    """What routing needs to know of a turn."""
    return Question(
        start.surface,
        start.message,
        tuple(start.conversation_history),
        start.scope if start.HasField("scope") else None,
    )


def _agent_event(output: RunOutput) -> Event | None:
    match output.WhichOneof("output"):
        case "text":
            return AgentText(output.text)
        case "tool_call":
            return AgentToolCall(output.tool_call)
        case "activity":
            return AgentActivity(output.activity)
        case "end":
            return AgentEnd(output.end)
        case None:  # of a newer contract: nothing that this router could pass on
            return None


def _formatter_event(output: FormatOutput) -> Event | None:
    match output.WhichOneof("output"):
        case "frame":
            return Formatted(output.frame)
        case "end":
            return FormatterEnd(tuple(output.end.skipped))
        case "flushed":
            return Flushed(tuple(output.flushed.skipped))
        case None:
            return None
