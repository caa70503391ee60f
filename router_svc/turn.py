"""PURE: one turn, from the message to its `stream_end`. Events in, commands out.

`feed(event)` returns what is to be done, in order. Which event counts in which phase
stands in one table at the end; any other is too late or out of place, and changes
nothing. Whatever comes, in whatever order: one `stream_end`, then `Finish`, then
nothing. Only the loss of the client ends a turn without a `stream_end`, since nobody
is there to read it.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

from router_svc import outcomes
from router_svc.episode import Transcript
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
from router_svc.outcomes import Outcome
from switchboard.v3.agent_pb2 import (
    DeviceToolCall,
    NothingShown,
    RunCancel,
    RunInput,
    RunStart,
    Surface,
)
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.formatter_pb2 import (
    FormatClose,
    FormatFlush,
    FormatInput,
    FormatStart,
    FormatToolResult,
)
from switchboard.v3.frames_pb2 import (
    Activity,
    ActivityState,
    MemoryStatus,
    ServerFrame,
    SkippedBlock,
    StreamEnd,
    Usage,
)
from switchboard.v3.memory_pb2 import MemoryItem, StoreEpisodeRequest
from switchboard.v3.router_pb2 import ConverseOutput, ConverseStart, RouteResponse


class Phase(Enum):
    """Where a turn is."""

    ROUTING = auto()
    """The agent is not known yet."""
    RECALLING = auto()
    """The agent is known and the formatter open; what is remembered is still to come."""
    RUNNING = auto()
    """The agent answers."""
    FLUSHING = auto()
    """The agent has ended, but nothing was shown yet: the formatter is asked for what it holds."""
    CLOSING = auto()
    """The agent has ended; the formatter still holds some of the answer."""
    STOPPING = auto()
    """The agent was told to stop; it has a moment to say what it spent."""
    STORING = auto()
    """The answer is out, and is being kept."""
    OVER = auto()
    """Nothing happens any more."""


_FRAMES: Final = frozenset({"popup_domain", "stream_text", "stream_block", "data_request"})
"""What a formatter may send; a `stream_end` is the turn's own."""


class Turn:
    """The state of one turn. `pending_usage`: what a routing call costs that is given up."""

    def __init__(self, request_id: str, start: ConverseStart, pending_usage: Usage) -> None:
        self._request_id = request_id
        self._start = start
        self._phase = Phase.ROUTING
        self._commands: list[Command] = []
        self._agent = ""
        self._memory: tuple[MemoryItem, ...] | None = None
        self._memory_known = False
        self._routing_usage = pending_usage
        self._agent_usage: Usage | None = None
        self._pieces = 0  # since the agent last told its usage
        self._shown = False
        self._changed = False
        self._asked_again = False
        self._skipped: tuple[SkippedBlock, ...] = ()
        self._outcome = outcomes.completed()
        self._waiting: set[str] = set()
        self._calls: dict[str, DeviceToolCall] = {}
        self._queries: set[str] = set()
        self._transcript = Transcript()
        # A popup's answer opens with its domain: what comes before waits (PROTOCOL §3).
        self._opened = start.surface == Surface.SURFACE_HOME
        self._held: list[ConverseOutput] = []

    def __repr__(self) -> str:
        return f"Turn({self._phase.name}, {self._agent or 'no agent'})"

    @property
    def phase(self) -> Phase:
        """Where the turn is."""
        return self._phase

    def begin(self) -> list[Command]:
        """What the turn starts with: choosing the agent and asking memory, side by side."""
        self._do(StartTimer(Timer.DEADLINE), Classify(), Recall())
        if self._opened:
            self._activity(ActivityState.ACTIVITY_STATE_ROUTING)
        return self._taken()

    def feed(self, event: Event) -> list[Command]:
        """What is to be done about an event, in order."""
        step = _TABLE[self._phase].get(type(event))
        if step is not None:
            step(self, event)
        return self._taken()

    def _do(self, *commands: Command) -> None:
        self._commands += commands

    def _taken(self) -> list[Command]:
        commands, self._commands = self._commands, []
        return commands

    # --- choosing the agent, asking memory

    def _routed(self, event: Routed) -> None:
        verdict = event.verdict
        self._agent = verdict.agent
        self._routing_usage = verdict.usage
        routed = RouteResponse(
            agent_name=verdict.agent, confidence=verdict.confidence, reason=verdict.reason
        )
        start = FormatStart(
            surface=self._start.surface,
            agent_name=self._agent,
            device_connected=self._start.device_connected,
        )
        if self._start.HasField("timezone"):
            start.timezone = self._start.timezone
        self._do(
            Emit(ConverseOutput(routed=routed)),
            OpenFormatter(),
            SendFormatter(FormatInput(start=start)),
        )
        self._phase = Phase.RECALLING
        if self._memory_known:
            self._run()

    def _recalled(self, event: Recalled) -> None:
        self._memory, self._memory_known = event.items, True
        if self._phase is Phase.RECALLING:
            self._run()

    def _run(self) -> None:
        self._do(OpenAgent(), SendAgent(RunInput(start=self._run_start())))
        self._phase = Phase.RUNNING

    def _run_start(self) -> RunStart:
        given = self._start
        start = RunStart(
            agent_name=self._agent,
            user_id=given.user_id,
            device_id=given.device_id,
            session_id=given.session_id,
            surface=given.surface,
            message=given.message,
            conversation_history=given.conversation_history,
            memory=self._memory or (),
            device_connected=given.device_connected,
            quoted=given.quoted,
        )
        if given.HasField("scope"):
            start.scope.CopyFrom(given.scope)
        if given.HasField("tools"):
            start.tools.CopyFrom(given.tools)
        if given.HasField("timezone"):
            start.timezone = given.timezone
        return start

    # --- the agent answers

    def _text(self, event: AgentText) -> None:
        self._pieces += 1
        self._do(SendFormatter(FormatInput(text=event.text)))

    def _tool_call(self, event: AgentToolCall) -> None:
        self._calls[event.call.call.call_id] = event.call
        self._emit(ConverseOutput(tool_call=event.call))

    def _agent_activity(self, event: AgentActivity) -> None:
        self._activity(event.activity.state, event.activity.tool)

    def _activity(self, state: ActivityState.ValueType, tool: str = "") -> None:
        if not self._start.wants_activity:
            return
        activity = Activity(request_id=self._request_id, agent=self._agent, state=state)
        if tool:
            activity.tool = tool
        self._emit(ConverseOutput(frame=ServerFrame(activity=activity)))

    def _tool_answered(self, event: ToolAnswered) -> None:
        """To agent and formatter at once, in one order. The first answer wins (PROTOCOL §4.6)."""
        call = self._calls.pop(event.result.call_id, None)
        if call is None:
            return
        self._transcript.record(call, event.result)
        self._do(SendAgent(RunInput(tool_result=event.result)))
        if event.result.WhichOneof("outcome") == "result":
            self._changed |= call.HasField("effect")
            result = FormatToolResult(entity=call.entity, result=event.result.result)
            self._do(SendFormatter(FormatInput(tool_result=result)))

    def _agent_end(self, event: AgentEnd) -> None:
        self._told_usage(event)
        self._outcome = outcomes.of_run(event.end)
        if self._outcome.completed and self._empty():
            self._do(SendFormatter(FormatInput(flush=FormatFlush())), StartTimer(Timer.FLUSH))
            self._phase = Phase.FLUSHING
        else:
            self._close()

    def _empty(self) -> bool:
        """Whether there is nothing to see. Silence after a change is an answer."""
        return not (self._shown or self._changed)

    def _told_usage(self, event: AgentEnd) -> None:
        self._agent_usage, self._pieces = event.end.usage, 0

    def _agent_lost(self, _: AgentLost) -> None:
        self._outcome = outcomes.unavailable()
        self._close()

    def _close(self) -> None:
        """What was said before stands, however it ended: the formatter gives all it has."""
        self._do(SendFormatter(FormatInput(close=FormatClose())))
        self._phase = Phase.CLOSING

    # --- an answer with nothing to see

    def _flushed(self, event: Flushed) -> None:
        """All that there was is out. Where that is nothing, the agent may mend it, once."""
        self._skipped = event.skipped
        if self._shown:
            self._store()
        elif self._asked_again:
            self._end(outcomes.empty())
        else:
            self._asked_again = True
            again = NothingShown(skipped=event.skipped)
            self._do(SendAgent(RunInput(nothing_shown=again)))
            self._phase = Phase.RUNNING

    def _flush_late(self, _: FlushLate) -> None:
        """What the formatter holds comes with its end too; only the second try is lost."""
        self._close()

    def _end_empty(self, _: AgentLost) -> None:
        """Nobody is left to be asked again."""
        self._asked_again = True

    # --- the formatter

    def _formatted(self, event: Formatted) -> None:
        frame = event.frame
        kind = frame.WhichOneof("frame")
        if kind not in _FRAMES:
            return
        if kind == "data_request":
            self._queries.add(frame.data_request.query_id)
        elif kind == "stream_text":
            self._transcript.say(frame.stream_text.chunk)
            self._shown = self._shown or not frame.stream_text.chunk.isspace()
        elif kind == "stream_block":
            self._shown = True
        elif kind == "popup_domain":
            self._open(frame)
            return
        self._emit(ConverseOutput(frame=frame))

    def _open(self, frame: ServerFrame) -> None:
        if self._opened:
            return
        self._opened = True
        self._do(Emit(ConverseOutput(frame=frame)), *map(Emit, self._held))
        self._held.clear()

    def _emit(self, output: ConverseOutput) -> None:
        if self._opened:
            self._do(Emit(output))
        else:
            self._held.append(output)

    def _data_answered(self, event: DataAnswered) -> None:
        if event.response.query_id in self._queries:
            self._queries.remove(event.response.query_id)
            self._do(SendFormatter(FormatInput(data_response=event.response)))

    def _all_formatted(self, event: FormatterEnd) -> None:
        self._skipped = event.skipped
        if not self._outcome.completed:
            self._end()
        elif self._empty():
            self._end(outcomes.empty())
        else:
            self._store()

    def _formatter_lost(self, _: FormatterLost | FormatterEnd) -> None:
        """While the agent still writes: it is stopped, so that it spends no more."""
        self._stop(outcomes.unavailable(), {"agent"})

    # --- stopping early

    def _cancel(self, _: Cancelled) -> None:
        """Stop means stop: nothing that was on its way is shown any more (PROTOCOL §4.4)."""
        self._stop(outcomes.cancelled(), {"agent"})

    def _expire(self, _: DeadlinePassed) -> None:
        """What was said before the deadline stands, so the formatter gives what it has."""
        self._do(SendFormatter(FormatInput(close=FormatClose())))
        self._stop(outcomes.expired(), {"agent", "formatter"})

    def _stop(self, outcome: Outcome, waiting: set[str]) -> None:
        self._outcome, self._waiting = outcome, waiting
        self._do(SendAgent(RunInput(cancel=RunCancel())), StartTimer(Timer.GRACE))
        self._phase = Phase.STOPPING

    def _stopped_agent_end(self, event: AgentEnd) -> None:
        self._told_usage(event)
        self._stopped("agent")

    def _stopped_agent_lost(self, _: AgentLost) -> None:
        self._stopped("agent")

    def _stopped_formatter(self, event: FormatterEnd | FormatterLost) -> None:
        if isinstance(event, FormatterEnd):
            self._skipped = event.skipped
        self._stopped("formatter")

    def _stopped(self, what: str) -> None:
        if what in self._waiting:
            self._waiting.remove(what)
            if not self._waiting:
                self._end()

    def _stopped_formatted(self, event: Formatted) -> None:
        """After the deadline text still goes out, but nothing that asks the device."""
        if "formatter" in self._waiting and event.frame.WhichOneof("frame") != "data_request":
            self._formatted(event)

    def _grace_over(self, _: GraceOver) -> None:
        self._end()

    def _cancel_now(self, _: Cancelled) -> None:
        self._end(outcomes.cancelled())

    def _expire_now(self, _: DeadlinePassed) -> None:
        self._end(outcomes.expired())

    def _lose_now(self, _: FormatterLost | FormatterEnd) -> None:
        """The first thing that went wrong is the one that is told."""
        self._end(outcomes.unavailable() if self._outcome.completed else None)

    def _fault(self, _: Fault) -> None:
        self._end(outcomes.failed(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own."))

    def _store_failed(self, _: Fault) -> None:
        self._end(memory=MemoryStatus.MEMORY_STATUS_OFF)

    def _abandon(self, _: ClientLost) -> None:
        if self._phase in (Phase.RUNNING, Phase.STOPPING):
            self._do(SendAgent(RunInput(cancel=RunCancel())))
        self._finish()

    # --- keeping the exchange

    def _store(self) -> None:
        """Only whole answers are kept: of a broken or stopped one nobody can say what it meant."""
        self._phase = Phase.STORING
        # Memory that was slow or down a moment ago is not waited for again: it is told later.
        self._do(Store(self._episode(), wait=self._memory is not None))

    def _episode(self) -> StoreEpisodeRequest:
        episode = StoreEpisodeRequest(
            user_id=self._start.user_id,
            session_id=self._start.session_id,
            request_id=self._request_id,
            message=self._start.message,
            response=self._transcript.response,
            entities=self._transcript.entities,
            agent_name=self._agent,
            recalled_ids=[item.id for item in self._memory or ()],
            tools=self._transcript.tools,
            quoted=self._start.quoted,
        )
        if self._start.HasField("timezone"):
            episode.timezone = self._start.timezone
        return episode

    def _stored(self, event: Stored) -> None:
        self._end(memory=event.status)

    def _store_late(self, _: DeadlinePassed) -> None:
        """The answer is whole and out: it did not miss its deadline, its memory did."""
        self._end(memory=MemoryStatus.MEMORY_STATUS_DEFERRED)

    # --- the end

    def _end(
        self, outcome: Outcome | None = None, memory: MemoryStatus.ValueType | None = None
    ) -> None:
        outcome = outcome or self._outcome
        end = StreamEnd(
            request_id=self._request_id,
            status=outcome.status,
            error=outcome.error,
            usage=self._usage(),
            skipped=self._skipped,
        )
        if self._agent:
            end.agent = self._agent
        if memory is not None:
            end.memory = memory
        elif self._memory_known and self._memory is None:
            end.memory = MemoryStatus.MEMORY_STATUS_OFF
        self._do(Emit(ConverseOutput(frame=ServerFrame(stream_end=end))))
        self._finish()

    def _finish(self) -> None:
        self._do(Finish())
        self._phase = Phase.OVER
        self._held.clear()

    def _usage(self) -> Usage:
        """Routing and agent together. Of what an agent did not report a piece is about a token."""
        usage = outcomes.total(self._routing_usage, self._agent_usage or Usage())
        unreported = self._agent_usage is None or self._pieces
        if unreported and self._phase not in (Phase.ROUTING, Phase.RECALLING):
            guess = Usage(output_tokens=self._pieces, model_calls=1, estimated=True)
            usage = outcomes.total(usage, guess)
        return usage


_Step = Callable[[Turn, Any], None]

_EVERYWHERE: Final[Mapping[type[Event], _Step]] = {
    ClientLost: Turn._abandon,
    Fault: Turn._fault,
}

_TABLE: Final[Mapping[Phase, Mapping[type[Event], _Step]]] = {
    Phase.ROUTING: {
        **_EVERYWHERE,
        Routed: Turn._routed,
        Recalled: Turn._recalled,
        Cancelled: Turn._cancel_now,
        DeadlinePassed: Turn._expire_now,
    },
    Phase.RECALLING: {
        **_EVERYWHERE,
        Recalled: Turn._recalled,
        Formatted: Turn._formatted,
        FormatterEnd: Turn._lose_now,
        FormatterLost: Turn._lose_now,
        Cancelled: Turn._cancel_now,
        DeadlinePassed: Turn._expire_now,
    },
    Phase.RUNNING: {
        **_EVERYWHERE,
        AgentText: Turn._text,
        AgentToolCall: Turn._tool_call,
        AgentActivity: Turn._agent_activity,
        AgentEnd: Turn._agent_end,
        AgentLost: Turn._agent_lost,
        Formatted: Turn._formatted,
        FormatterEnd: Turn._formatter_lost,
        FormatterLost: Turn._formatter_lost,
        ToolAnswered: Turn._tool_answered,
        DataAnswered: Turn._data_answered,
        Cancelled: Turn._cancel,
        DeadlinePassed: Turn._expire,
    },
    Phase.FLUSHING: {
        **_EVERYWHERE,
        AgentLost: Turn._end_empty,
        Formatted: Turn._formatted,
        Flushed: Turn._flushed,
        FlushLate: Turn._flush_late,
        FormatterEnd: Turn._lose_now,
        FormatterLost: Turn._lose_now,
        DataAnswered: Turn._data_answered,
        Cancelled: Turn._cancel_now,
        DeadlinePassed: Turn._expire_now,
    },
    Phase.CLOSING: {
        **_EVERYWHERE,
        Formatted: Turn._formatted,
        FormatterEnd: Turn._all_formatted,
        FormatterLost: Turn._lose_now,
        DataAnswered: Turn._data_answered,
        Cancelled: Turn._cancel_now,
        DeadlinePassed: Turn._expire_now,
    },
    Phase.STOPPING: {
        **_EVERYWHERE,
        AgentEnd: Turn._stopped_agent_end,
        AgentLost: Turn._stopped_agent_lost,
        Formatted: Turn._stopped_formatted,
        FormatterEnd: Turn._stopped_formatter,
        FormatterLost: Turn._stopped_formatter,
        GraceOver: Turn._grace_over,
    },
    Phase.STORING: {
        **_EVERYWHERE,
        Stored: Turn._stored,
        DeadlinePassed: Turn._store_late,
        Fault: Turn._store_failed,
    },
    Phase.OVER: {},
}
