"""The turn: its stories, and what holds for every interleaving of events."""

import re
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from router_svc.routing import Verdict
from router_svc.turn import Phase, Turn
from switchboard.v3.agent_pb2 import DeviceToolCall, RunActivity, RunEnd, RunText, Surface
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.frames_pb2 import (
    ActivityState,
    DataRequest,
    DataResponse,
    Domain,
    EndStatus,
    MemoryStatus,
    MutationOp,
    PopupDomain,
    Quoted,
    Scope,
    ServerFrame,
    SkippedBlock,
    StreamEnd,
    StreamText,
    ToolCall,
    ToolError,
    ToolResult,
    Usage,
)
from switchboard.v3.memory_pb2 import MemoryItem, StoreEpisodeRequest
from switchboard.v3.router_pb2 import ConverseOutput, ConverseStart
from switchboard.v3.values_pb2 import Json, StringList

HOME, POPUP = Surface.SURFACE_HOME, Surface.SURFACE_POPUP
COMPLETED = EndStatus.END_STATUS_COMPLETED
CANCELLED = EndStatus.END_STATUS_CANCELLED
FAILED = EndStatus.END_STATUS_FAILED
PENDING = Usage(input_tokens=30, model_calls=1, estimated=True)
ROUTED = Routed(
    Verdict("task_agent", 0.9, "model", Usage(input_tokens=20, output_tokens=4, model_calls=1))
)
RECALLED = Recalled((MemoryItem(id="m1", text="Likes tea"),))
SPENT = Usage(input_tokens=100, output_tokens=50, model_calls=2)


def start(surface: Surface.ValueType = HOME, wants_activity: bool = False) -> ConverseStart:
    return ConverseStart(
        user_id="u1",
        device_id="d1",
        session_id="s1",
        surface=surface,
        message="What is overdue?",
        timezone="Europe/Berlin",
        tools=StringList(values=["list_tasks"]),
        scope=Scope(type="task", id="t1"),
        device_connected=True,
        wants_activity=wants_activity,
        quoted=QUOTED,
    )


def text(piece: str = "Hi") -> AgentText:
    return AgentText(RunText(text=piece))


def tool_call(call_id: str = "c1", effect: MutationOp.ValueType | None = None) -> AgentToolCall:
    call = ToolCall(request_id="r1", call_id=call_id, name="list_tasks")
    return AgentToolCall(
        DeviceToolCall(call=call, entity=EntityKind.ENTITY_KIND_TASK, effect=effect)
    )


def answered(call_id: str = "c1", utf8: bytes = b'{"items":[]}') -> ToolAnswered:
    return ToolAnswered(ToolResult(call_id=call_id, result=Json(utf8=utf8)))


def chunk(piece: str = "Hi") -> Formatted:
    return Formatted(ServerFrame(stream_text=StreamText(request_id="r1", chunk=piece)))


def ended(status: EndStatus.ValueType = COMPLETED, error: Error | None = None) -> AgentEnd:
    return AgentEnd(RunEnd(status=status, error=error, usage=SPENT))


DOMAIN = Formatted(
    ServerFrame(popup_domain=PopupDomain(request_id="r1", domain=Domain.DOMAIN_TASKS))
)
QUERY = Formatted(ServerFrame(data_request=DataRequest(request_id="r1", query_id="q1")))
FOUND = DataAnswered(DataResponse(query_id="q1", items=Json(utf8=b"[]")))
THINKING = AgentActivity(RunActivity(state=ActivityState.ACTIVITY_STATE_THINKING))
STORED = Stored(MemoryStatus.MEMORY_STATUS_STORED)
QUOTED = [Quoted(start=8, end=16)]
BAD_CHART = SkippedBlock(block_type="chart", reason="chart_values")


class Told:
    """A turn, what it was told, and what it commanded."""

    def __init__(self, begin: ConverseStart | None = None) -> None:
        self.turn = Turn("r1", begin or start(), PENDING)
        self.commands: list[Command] = self.turn.begin()

    def __call__(self, *events: Event) -> "Told":
        for event in events:
            self.commands += self.turn.feed(event)
        return self

    @property
    def outputs(self) -> list[ConverseOutput]:
        return [command.output for command in self.commands if isinstance(command, Emit)]

    @property
    def kinds(self) -> list[str]:
        return [kind_of(output) for output in self.outputs]

    @property
    def ends(self) -> list[StreamEnd]:
        frames = (output.frame for output in self.outputs if output.HasField("frame"))
        return [frame.stream_end for frame in frames if frame.HasField("stream_end")]

    @property
    def end(self) -> StreamEnd:
        (end,) = self.ends
        return end

    @property
    def to_agent(self) -> list[str | None]:
        sent = (c for c in self.commands if isinstance(c, SendAgent))
        return [command.input.WhichOneof("input") for command in sent]

    @property
    def to_formatter(self) -> list[str | None]:
        sent = (c for c in self.commands if isinstance(c, SendFormatter))
        return [command.input.WhichOneof("input") for command in sent]

    @property
    def stored(self) -> list[Store]:
        return [command for command in self.commands if isinstance(command, Store)]


def kind_of(output: ConverseOutput) -> str:
    kind = output.WhichOneof("output")
    return (output.frame.WhichOneof("frame") if kind == "frame" else kind) or ""


def running(begin: ConverseStart | None = None) -> Told:
    return Told(begin)(ROUTED, RECALLED)


# --- stories


def test_routing_and_memory_begin_side_by_side() -> None:
    assert Told().commands == [StartTimer(Timer.DEADLINE), Classify(), Recall()]


@pytest.mark.parametrize("order", [(ROUTED, RECALLED), (RECALLED, ROUTED)])
def test_the_agent_opens_once_both_are_known(order: tuple[Event, Event]) -> None:
    first, second = order
    told = Told()(first)
    assert OpenAgent() not in told.commands
    assert (OpenFormatter() in told.commands) == (first is ROUTED)
    told(second)
    assert told.commands.count(OpenAgent()) == 1
    (sent,) = [c for c in told.commands if isinstance(c, SendAgent)]
    run = sent.input.start
    assert run.agent_name == "task_agent"
    assert [item.id for item in run.memory] == ["m1"]
    assert list(run.quoted) == QUOTED
    assert (run.message, run.timezone, run.scope.id) == ("What is overdue?", "Europe/Berlin", "t1")
    assert (list(run.tools.values), run.device_connected) == (["list_tasks"], True)


def test_a_whole_answer_is_stored_before_its_end() -> None:
    told = running()(text(), chunk("Hi"), ended())
    assert told.to_formatter == ["start", "text", "close"]
    told(FormatterEnd())
    assert told.turn.phase is Phase.STORING
    assert told.ends == []
    (store,) = told.stored
    assert store.wait
    assert store.episode == StoreEpisodeRequest(
        user_id="u1",
        session_id="s1",
        request_id="r1",
        message="What is overdue?",
        response="Hi",
        agent_name="task_agent",
        timezone="Europe/Berlin",
        recalled_ids=["m1"],
        quoted=QUOTED,
    )
    told(STORED)
    assert told.end.status == COMPLETED
    assert told.end.memory == MemoryStatus.MEMORY_STATUS_STORED
    assert told.end.agent == "task_agent"
    assert told.end.usage == Usage(input_tokens=120, output_tokens=54, model_calls=3)
    assert told.commands[-1] == Finish()


def test_without_memory_the_end_does_not_wait_for_it() -> None:
    told = Told()(ROUTED, Recalled(None), text(), chunk(), ended(), FormatterEnd())
    assert [store.wait for store in told.stored] == [False]
    told(Stored(MemoryStatus.MEMORY_STATUS_DEFERRED))
    assert told.end.memory == MemoryStatus.MEMORY_STATUS_DEFERRED


def test_without_memory_an_answer_that_failed_is_not_kept_and_says_so() -> None:
    told = Told()(ROUTED, Recalled(None), ended(FAILED), FormatterEnd())
    assert told.end.memory == MemoryStatus.MEMORY_STATUS_OFF
    assert told.stored == []


def test_a_tool_result_goes_to_both_once() -> None:
    told = running()(tool_call(), answered(), answered(), answered("never called"))
    assert told.to_agent == ["start", "tool_result"]
    assert told.to_formatter == ["start", "tool_result"]


def test_a_failed_tool_goes_to_the_agent_alone() -> None:
    error = ToolError(code="tool_call_expired", message="It took too long.")
    told = running()(tool_call(), ToolAnswered(ToolResult(call_id="c1", error=error)))
    assert told.to_agent == ["start", "tool_result"]
    assert told.to_formatter == ["start"]


def test_a_data_response_goes_to_the_formatter_once_even_after_the_agents_end() -> None:
    told = running()(chunk(), ended(), QUERY, FOUND, FOUND)
    assert told.to_formatter == ["start", "close", "data_response"]


def test_a_failed_run_keeps_what_was_said_and_is_not_stored() -> None:
    error = Error(code=ErrorCode.ERROR_CODE_MODEL_TRUNCATED, message="Broke off.", retryable=True)
    told = running()(text(), ended(FAILED, error), chunk("Hi"), FormatterEnd())
    assert told.kinds == ["routed", "stream_text", "stream_end"]
    assert told.end.error == error
    assert told.stored == []


def test_a_run_that_fails_without_saying_why_is_a_fault_of_ours() -> None:
    told = running()(ended(FAILED), FormatterEnd())
    assert told.end.error.code == ErrorCode.ERROR_CODE_INTERNAL


def test_an_answer_that_is_shown_late_is_whole_without_asking_again() -> None:
    told = running()(text(), ended())
    assert told.turn.phase is Phase.FLUSHING
    told(chunk("Hi"), Flushed(), STORED)
    assert told.to_formatter == ["start", "text", "flush"]
    assert told.to_agent == ["start"]
    assert told.end.status == COMPLETED


def test_an_agent_whose_answer_shows_nothing_hears_why_and_may_mend_it() -> None:
    told = running()(text("{"), ended(), Flushed((BAD_CHART,)))
    assert told.to_agent == ["start", "nothing_shown"]
    last = [command for command in told.commands if isinstance(command, SendAgent)][-1]
    assert list(last.input.nothing_shown.skipped) == [BAD_CHART]
    told(text("Hi"), chunk("Hi"), ended(), FormatterEnd((BAD_CHART,)), STORED)
    assert told.to_formatter == ["start", "text", "flush", "text", "close"]
    assert told.end.status == COMPLETED
    assert list(told.end.skipped) == [BAD_CHART]


def test_an_answer_that_shows_nothing_twice_is_empty() -> None:
    told = running()(text("{"), ended(), Flushed(), text("{"), chunk(" \n"), ended())
    told(Flushed((BAD_CHART,)))
    assert told.to_agent == ["start", "nothing_shown"]
    assert told.end.error.code == ErrorCode.ERROR_CODE_MODEL_EMPTY
    assert told.end.error.retryable
    assert list(told.end.skipped) == [BAD_CHART]
    assert told.stored == []


def test_a_formatter_that_knows_no_flush_is_closed_in_the_end() -> None:
    told = running()(text(), ended())
    assert StartTimer(Timer.FLUSH) in told.commands
    told(FlushLate(), chunk("Hi"), FormatterEnd(), STORED)
    assert told.to_formatter == ["start", "text", "flush", "close"]
    assert told.end.status == COMPLETED
    silent = running()(ended(), FlushLate(), FormatterEnd((BAD_CHART,)))
    assert silent.end.error.code == ErrorCode.ERROR_CODE_MODEL_EMPTY
    assert list(silent.end.skipped) == [BAD_CHART]


def test_silence_after_a_change_is_an_answer() -> None:
    told = running()(tool_call("c1", MutationOp.MUTATION_OP_UPDATE), answered(), ended())
    told(FormatterEnd(), STORED)
    assert told.to_agent == ["start", "tool_result"]
    assert told.end.status == COMPLETED


def test_silence_after_a_change_that_failed_is_none() -> None:
    error = ToolError(code="not_found", message="There is none.")
    told = running()(tool_call("c1", MutationOp.MUTATION_OP_UPDATE))
    told(ToolAnswered(ToolResult(call_id="c1", error=error)), ended(), Flushed())
    assert told.to_agent == ["start", "tool_result", "nothing_shown"]


def test_an_agent_that_is_gone_is_not_asked_again() -> None:
    told = running()(text("{"), ended(), AgentLost(), Flushed())
    assert told.end.error.code == ErrorCode.ERROR_CODE_MODEL_EMPTY


def test_a_second_try_that_is_cut_short_counts_what_it_said() -> None:
    told = running()(ended(), Flushed(), text(), text(), Cancelled(), GraceOver())
    assert told.end.usage.estimated
    assert told.end.usage.output_tokens == 4 + 50 + 2


def test_a_cancel_while_routing_counts_the_call_that_is_given_up() -> None:
    told = Told()(Cancelled())
    assert told.kinds == ["stream_end"]
    assert told.end.usage == PENDING
    assert not told.end.HasField("agent")


def test_a_cancel_waits_for_what_the_agent_spent_and_shows_nothing_more() -> None:
    told = running()(text(), Cancelled())
    assert told.to_agent == ["start", "cancel"]
    assert StartTimer(Timer.GRACE) in told.commands
    told(chunk("late"), tool_call(), THINKING, Cancelled())
    assert told.kinds == ["routed"]
    told(ended(CANCELLED))
    assert told.end.status == CANCELLED
    assert told.end.error.code == ErrorCode.ERROR_CODE_CANCELLED
    assert told.end.usage == Usage(input_tokens=120, output_tokens=54, model_calls=3)
    assert told.stored == []


def test_a_silent_agent_does_not_hold_up_a_cancel() -> None:
    told = running()(text(), text(), Cancelled(), GraceOver())
    assert told.end.status == CANCELLED
    assert told.end.usage.estimated
    assert told.end.usage.output_tokens == 4 + 2


def test_a_cancel_after_the_agents_end_ends_at_once() -> None:
    told = running()(text(), ended(), Cancelled())
    assert told.end.status == CANCELLED
    assert told.end.usage == Usage(input_tokens=120, output_tokens=54, model_calls=3)


def test_a_cancel_of_a_whole_answer_comes_too_late() -> None:
    told = running()(chunk(), ended(), FormatterEnd(), Cancelled(), STORED)
    assert told.end.status == COMPLETED


def test_at_the_deadline_what_was_said_is_still_formatted() -> None:
    told = running()(text("one"), DeadlinePassed())
    assert told.to_formatter == ["start", "text", "close"]
    told(ended(CANCELLED), chunk("one"), QUERY, FormatterEnd())
    assert told.kinds == ["routed", "stream_text", "stream_end"]
    assert told.end.error.code == ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED


def test_a_deadline_while_storing_does_not_spoil_the_answer() -> None:
    told = running()(chunk(), ended(), FormatterEnd(), DeadlinePassed())
    assert told.end.status == COMPLETED
    assert told.end.memory == MemoryStatus.MEMORY_STATUS_DEFERRED


def test_a_lost_agent_fails_the_turn_after_what_was_said() -> None:
    told = running()(text(), AgentLost(), chunk("Hi"), FormatterEnd())
    assert told.kinds == ["routed", "stream_text", "stream_end"]
    assert told.end.error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    assert told.end.usage.estimated


def test_a_lost_formatter_stops_the_agent() -> None:
    told = running()(text(), FormatterLost(), ended(CANCELLED))
    assert told.to_agent == ["start", "cancel"]
    assert told.end.status == FAILED
    assert told.end.error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE


def test_the_first_thing_that_went_wrong_is_told() -> None:
    error = Error(code=ErrorCode.ERROR_CODE_MODEL_TRUNCATED, message="Broke off.")
    told = running()(ended(FAILED, error), FormatterLost())
    assert told.end.error == error


def test_a_lost_client_cancels_the_agent_without_an_end() -> None:
    told = running()(text(), ClientLost(), ended())
    assert told.to_agent == ["start", "cancel"]
    assert told.ends == []
    assert told.commands[-1] == Finish()


def test_a_fault_of_ours_ends_the_turn() -> None:
    assert running()(Fault()).end.error.code == ErrorCode.ERROR_CODE_INTERNAL


def test_a_popup_opens_with_its_domain_whatever_comes_first() -> None:
    told = running(start(POPUP, wants_activity=True))(THINKING, tool_call())
    assert told.kinds == ["routed"]
    told(DOMAIN, DOMAIN, chunk())
    assert told.kinds == ["routed", "popup_domain", "activity", "tool_call", "stream_text"]


def test_a_formatter_cannot_end_the_turn_by_a_frame() -> None:
    told = running()(Formatted(ServerFrame(stream_end=StreamEnd(status=COMPLETED))))
    assert told.ends == []


def test_routing_is_shown_where_activity_is_wanted() -> None:
    told = Told(start(wants_activity=True))
    (activity,) = [output.frame.activity for output in told.outputs]
    assert activity.state == ActivityState.ACTIVITY_STATE_ROUTING
    assert activity.agent == ""


# --- laws

ANY: st.SearchStrategy[Event] = st.sampled_from(
    [
        ROUTED,
        RECALLED,
        Recalled(None),
        text(),
        text("more"),
        tool_call("c1"),
        tool_call("c2", MutationOp.MUTATION_OP_UPDATE),
        THINKING,
        ended(),
        ended(CANCELLED),
        ended(FAILED),
        AgentLost(),
        DOMAIN,
        chunk(),
        QUERY,
        Flushed(),
        FormatterEnd(),
        FormatterLost(),
        answered("c1"),
        answered("c2", b'{"item":{"id":"t1","status":"done"}}'),
        FOUND,
        STORED,
        Cancelled(),
        DeadlinePassed(),
        GraceOver(),
        FlushLate(),
        ClientLost(),
        Fault(),
    ]
)

# Enough to end any turn, whatever came before.
TO_THE_END: Sequence[Event] = (
    ROUTED,
    RECALLED,
    ended(),
    Flushed(),
    ended(),
    Flushed(),
    FormatterEnd(),
    STORED,
    GraceOver(),
)

HOME_ANSWER = re.compile(r"(activity )?(routed )?((stream_text|tool_call|data_request|activity) )*")
POPUP_ANSWER = re.compile(
    r"(routed )?(popup_domain ((stream_text|tool_call|data_request|activity) )*)?"
)


OPENINGS: list[list[Event]] = [[], [ROUTED], [RECALLED], [ROUTED, RECALLED]]


@st.composite
def interleavings(draw: st.DrawFn) -> list[Event]:
    """Any events in any order; most often after a beginning that lets them matter."""
    opening = draw(st.sampled_from(OPENINGS))
    return [*opening, *draw(st.lists(ANY, max_size=30))]


@settings(max_examples=300)
@given(
    events=interleavings(),
    surface=st.sampled_from([HOME, POPUP]),
    wants_activity=st.booleans(),
)
def test_every_turn_ends_once_and_nothing_follows(
    events: list[Event], surface: Surface.ValueType, wants_activity: bool
) -> None:
    told = Told(start(surface, wants_activity))(*events, *TO_THE_END)
    assert told.turn.phase is Phase.OVER
    assert told.commands.count(Finish()) == 1
    assert told.commands[-1] == Finish()
    if told.ends:
        assert told.end.HasField("usage")
        assert (told.end.status == COMPLETED) == (not told.end.HasField("error"))
        assert kind_of(told.outputs[-1]) == "stream_end"
        assert isinstance(told.commands[-2], Emit)
    else:
        assert ClientLost() in events
    answer = " ".join(kind for kind in told.kinds if kind != "stream_end") + " "
    pattern = HOME_ANSWER if surface == HOME else POPUP_ANSWER
    assert pattern.fullmatch(answer.lstrip()), told.kinds


@given(events=interleavings())
def test_peers_are_spoken_to_in_order(events: list[Event]) -> None:
    told = Told()(*events, *TO_THE_END)
    assert told.commands.count(OpenAgent()) <= 1
    assert told.commands.count(OpenFormatter()) <= 1
    assert follows(told.commands, OpenAgent(), SendAgent)
    assert follows(told.commands, OpenFormatter(), SendFormatter)
    for sent in (told.to_agent, told.to_formatter):
        assert sent[:1] in ([], ["start"])
        assert sent.count("start") <= 1
    assert told.to_agent.count("cancel") <= 2  # a cancel, then the client's loss
    assert told.to_agent.count("nothing_shown") <= 1
    assert told.to_formatter.count("flush") <= 2
    assert told.to_formatter.count("close") <= 1
    if "close" in told.to_formatter:
        after = told.to_formatter[told.to_formatter.index("close") + 1 :]
        assert set(after) <= {"data_response"}


def follows(commands: Iterable[Command], opening: Command, kind: type[Command]) -> bool:
    opened = False
    for command in commands:
        opened |= command == opening
        if isinstance(command, kind) and not opened:
            return False
    return True


@given(
    events=interleavings(),
    missing=st.sampled_from([[ended()], [Flushed(), FormatterEnd()]]),
)
def test_completed_means_completed(events: list[Event], missing: list[Event]) -> None:
    told = Told()(*(event for event in [*events, *TO_THE_END] if event not in missing), GraceOver())
    assert [end for end in told.ends if end.status == COMPLETED] == []
    assert told.stored == []


@given(events=interleavings())
def test_completed_shows_something_or_changed_something(events: list[Event]) -> None:
    told = Told()(*events, *TO_THE_END)
    if told.ends and told.end.status == COMPLETED:
        changed = answered("c2", b'{"item":{"id":"t1","status":"done"}}')
        assert "stream_text" in told.kinds or changed in events


@given(events=interleavings())
def test_what_is_stored_is_completed(events: list[Event]) -> None:
    told = Told()(*events, *TO_THE_END)
    assert len(told.stored) <= 1
    if told.ends:
        assert len(told.stored) == (told.end.status == COMPLETED)


@given(
    before=st.lists(st.sampled_from([text(), chunk(), tool_call(), answered(), THINKING])),
    after=st.lists(ANY, max_size=20),
)
def test_stop_means_stop(before: list[Event], after: list[Event]) -> None:
    told = running()(*before, Cancelled())
    shown = len(told.outputs)
    told(*after, *TO_THE_END)
    assert [kind_of(output) for output in told.outputs[shown:]] in (["stream_end"], [])
    if told.ends and Fault() not in after:
        assert told.end.status == CANCELLED
