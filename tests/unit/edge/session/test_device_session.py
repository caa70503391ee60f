"""The pure session: any interleaving of frames, drops, resumes, cancels, losses and time
keeps the promises of PROTOCOL §4; and the rules one by one."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.access.budgets import Budget, Pool, Share
from edge.session.calls import CallState
from edge.session.device_session import Session
from edge.session.events import (
    Asked,
    Attached,
    Broken,
    Collected,
    Detached,
    Draining,
    Drop,
    Effect,
    Erased,
    FanOut,
    Finish,
    Open,
    Produced,
    Received,
    Refused,
    Say,
    Spoiled,
    Stopped,
    Tell,
    Tick,
)
from edge.session.limits import Limits
from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import DeviceToolCall
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import (
    Activity,
    ActivityState,
    Cancel,
    ClientFrame,
    DeviceHello,
    DeviceReady,
    EndStatus,
    HomeRequest,
    Mutation,
    MutationOp,
    PopupRequest,
    Resume,
    Scope,
    ServerFrame,
    StreamEnd,
    StreamText,
    ToolCall,
    ToolError,
    ToolResult,
)
from switchboard.v3.router_pb2 import ConverseOutput
from switchboard.v3.values_pb2 import Json

SPACE = UUID(int=0)
TASK = EntityKind.ENTITY_KIND_TASK
LOST = SwitchboardError(ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "lost").to_proto()


def uid(name: object) -> str:
    return str(uuid5(SPACE, str(name)))


def make(
    limits: Limits | None = None, claimed: set[str] | None = None, share: Share | None = None
) -> Session:
    ids = iter(range(1_000_000))
    return Session(
        user_id="user",
        device_id="device",
        limits=limits or Limits(),
        ready=DeviceReady(server_version="0", heartbeat_s=20),
        claimed=set() if claimed is None else claimed,
        share=share or Share(Pool(Budget())),
        new_id=lambda: uid(f"made {next(ids)}"),
    )


def hello(**fields: Any) -> Attached:
    return Attached(DeviceHello(device_id="device", **fields))


def connected(limits: Limits | None = None, **fields: Any) -> Session:
    session = make(limits)
    session.feed(hello(**fields), 0)
    assert [kind(frame) for frame in session.take(0, 10_000)] == ["device_ready"]
    return session


def kind(frame: ServerFrame) -> str:
    return frame.WhichOneof("frame") or ""


def ask(request_id: str, message: str = "hi") -> Received:
    return Received(ClientFrame(home_request=HomeRequest(request_id=request_id, message=message)))


def said(request_id: str, *chunks: str) -> Produced:
    return Produced(
        request_id,
        [ConverseOutput(frame=ServerFrame(stream_text=StreamText(chunk=c))) for c in chunks],
    )


def ended(request_id: str) -> Produced:
    end = StreamEnd(status=EndStatus.END_STATUS_COMPLETED)
    return Produced(request_id, [ConverseOutput(frame=ServerFrame(stream_end=end))])


def called(
    request_id: str,
    call_id: str,
    effect: MutationOp.ValueType | None = None,
    *,
    requires_approval: bool = False,
) -> Produced:
    call = ToolCall(call_id=call_id, name="t", requires_approval=requires_approval)
    asked = DeviceToolCall(call=call, entity=TASK, effect=effect)
    return Produced(request_id, [ConverseOutput(tool_call=asked)])


def result(call_id: str, value: Any = None) -> Received:
    outcome = ToolResult(call_id=call_id, result=Json(utf8=orjson.dumps(value)))
    return Received(ClientFrame(tool_result=outcome))


def spoiled(call_id: str) -> Spoiled:
    why = ToolError(code="invalid_result", message="")
    return Spoiled(ClientFrame(tool_result=ToolResult(call_id=call_id, error=why)))


def cancel(request_id: str) -> Received:
    return Received(ClientFrame(cancel=Cancel(request_id=request_id)))


def told(effects: Iterable[Effect]) -> list[str]:
    """The outcomes of calls that went to the router, in words."""
    found = []
    for effect in effects:
        if isinstance(effect, Tell):
            answer = effect.input.tool_result
            found.append(
                effect.input.WhichOneof("input")
                if not effect.input.HasField("tool_result")
                else answer.error.code or answer.WhichOneof("outcome")
            )
    return [str(word) for word in found]


def is_open(session: Session, call_id: str) -> bool:
    call = session._calls.find(call_id, query=False)
    return call is not None and call.state is CallState.OPEN


class Promises(RuleBasedStateMachine):
    """A device that drops and resumes at will, over a session that must not care."""

    requests = st.integers(0, 3).map(lambda n: uid(f"r{n}"))

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.session = make(Limits(max_concurrent_requests=3, journal_bytes=4000))
        self.session.feed(hello(), 0)
        self.there = True
        self.accepted: dict[str, int] = {}  # how often the router was asked
        self.said: dict[str, str] = {}
        self.got: dict[str, list[ServerFrame]] = {}
        self.lost: set[str] = set()
        self.calls: list[str] = []
        self.answered: list[str] = []
        self.done: set[str] = set()  # Finish or Drop seen
        self.in_flight: list[ServerFrame] = []
        self.refused: set[str] = set()  # and the device does not know it yet

    def feed(self, event: Any) -> None:
        for effect in self.session.feed(event, self.now):
            match effect:
                case Open(request_id):
                    self.accepted[request_id] = self.accepted.get(request_id, 0) + 1
                    self.got[request_id] = []
                    self.said[request_id] = ""
                    self.done.discard(request_id)
                    self.lost.discard(request_id)
                case Refused(_, end):
                    self.refused.add(end.request_id)
                case Finish(request_id) | Drop(request_id):
                    assert request_id not in self.done
                    self.done.add(request_id)
                case Tell(request_id, said_):
                    assert request_id not in self.done or said_.HasField("tool_result")
                    if said_.HasField("tool_result"):
                        self.answered.append(said_.tool_result.call_id)

    def receive(self, frames: list[ServerFrame]) -> None:
        for frame in frames:
            match kind(frame):
                case "device_ready":
                    self.lost |= set(frame.device_ready.lost)
                    for request_id in frame.device_ready.lost:
                        self.got.pop(request_id, None)
                case "error" | "pong" | "mutation":
                    pass
                case name:
                    body = getattr(frame, name)
                    if name == "stream_end":
                        self.refused.discard(body.request_id)
                    known = self.got.get(body.request_id)
                    if known is not None and not self.is_said_again(frame, known):
                        known.append(frame)

    def is_said_again(self, frame: ServerFrame, known: list[ServerFrame]) -> bool:
        """Whether it is a call that has come before, which then is the same in all that lasts."""
        if not frame.HasField("tool_call") or frame.tool_call.seq > len(known):
            return False
        before = known[frame.tool_call.seq - 1].tool_call
        assert (before.call_id, before.seq) == (frame.tool_call.call_id, frame.tool_call.seq)
        return True

    @rule(request_id=requests)
    def ask(self, request_id: str) -> None:
        known = {*self.got, *self.lost, *self.refused}
        if self.there and request_id not in known:
            self.feed(ask(request_id))

    @rule(request_id=requests, chunk=st.text(max_size=3), times=st.integers(1, 5))
    def say(self, request_id: str, chunk: str, times: int) -> None:
        going_on = request_id in self.said and request_id not in self.done
        if going_on and self.session.has_room(request_id):
            self.said[request_id] += chunk * times
            self.feed(said(request_id, *[chunk] * times))

    @rule(request_id=requests)
    def call(self, request_id: str) -> None:
        if request_id in self.said and request_id not in self.done:
            self.calls.append(uid(f"c{len(self.calls)}"))
            self.feed(called(request_id, self.calls[-1]))

    @precondition(lambda self: self.calls and self.there)
    @rule(number=st.integers(0, 10))
    def answer(self, number: int) -> None:
        self.feed(result(self.calls[number % len(self.calls)]))

    @precondition(lambda self: self.calls and self.there)
    @rule(number=st.integers(0, 10))
    def spoil(self, number: int) -> None:
        """A result that is refused for its form: for a call that waits, the agent hears at once."""
        call_id = self.calls[number % len(self.calls)]
        waited = self.waits(call_id)
        self.feed(spoiled(call_id))
        assert not self.waits(call_id)
        assert call_id in self.answered or not waited

    @rule(request_id=requests)
    def end(self, request_id: str) -> None:
        if request_id in self.said and request_id not in self.done:
            self.feed(ended(request_id))

    @rule(request_id=requests)
    def break_off(self, request_id: str) -> None:
        if request_id in self.said and request_id not in self.done:
            self.feed(Broken(request_id, LOST))

    @precondition(lambda self: self.there)
    @rule(request_id=requests)
    def cancel(self, request_id: str) -> None:
        self.feed(cancel(request_id))

    @precondition(lambda self: self.there)
    @rule(budget=st.integers(1, 300))
    def send(self, budget: int) -> None:
        self.in_flight += self.session.take(self.now, budget)

    @precondition(lambda self: self.in_flight)
    @rule()
    def arrive(self) -> None:
        arrived, self.in_flight = self.in_flight, []
        self.receive(arrived)

    @precondition(lambda self: self.there)
    @rule(part=st.floats(0, 1))
    def drop(self, part: float) -> None:
        """The socket breaks; only a part of what was sent had arrived."""
        arrived = self.in_flight[: int(len(self.in_flight) * part)]
        self.in_flight = []
        self.receive(arrived)
        self.refused.clear()  # lost with the socket: it may ask again
        self.there = False
        self.feed(Detached())

    @rule()
    def resume(self) -> None:
        """Connects again, perhaps while the old socket still looks alive."""
        self.in_flight = []
        self.refused.clear()
        self.there = True
        last = {
            request_id: frames[-1] and getattr(frames[-1], kind(frames[-1])).seq if frames else 0
            for request_id, frames in self.got.items()
            if not (frames and kind(frames[-1]) == "stream_end")
        }
        self.feed(hello(resume=Resume(requests=last)))

    @precondition(lambda self: self.there)
    @rule()
    def hear_again(self) -> None:
        """Over a drop that lost nothing, what waits is asked again, before all else."""
        arrived, self.in_flight = self.in_flight, []
        self.receive(arrived + self.everything())
        asked = [
            frame.tool_call.call_id
            for frames in self.got.values()
            if not (frames and kind(frames[-1]) == "stream_end")
            for frame in frames
            if frame.HasField("tool_call") and self.waits(frame.tool_call.call_id)
        ]
        self.drop(0)
        self.resume()
        ready, *frames = self.everything()
        heard = [frame.tool_call.call_id for frame in frames[: len(asked)]]
        assert sorted(heard) == sorted(asked)
        self.receive([ready, *frames])

    def everything(self) -> list[ServerFrame]:
        """All that can be sent."""
        return self.session.take(self.now, 1_000_000)

    def waits(self, call_id: str) -> bool:
        """Whether the agent waits for this call."""
        return is_open(self.session, call_id)

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0, 31.0, 59.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.feed(Tick())

    @invariant()
    def numbered_without_gaps_and_one_end(self) -> None:
        for request_id, frames in self.got.items():
            names = [kind(frame) for frame in frames]
            numbers = [getattr(f, n).seq for f, n in zip(frames, names, strict=True)]
            assert numbers == list(range(1, len(frames) + 1)), self.session
            assert "stream_end" not in names[:-1]
            text = "".join(f.stream_text.chunk for f in frames)
            assert self.said[request_id].startswith(text)

    @invariant()
    def each_result_is_taken_once(self) -> None:
        assert len(self.answered) == len(set(self.answered))
        assert all(times == 1 for times in self.accepted.values())

    def teardown(self) -> None:
        """Everything ends, the device comes back in time: all is there, or named lost."""
        for request_id in self.said:
            if request_id not in self.done:
                self.feed(ended(request_id))
        self.resume()
        while frames := self.session.take(self.now, 10_000):
            self.receive(frames)
        for request_id, frames in self.got.items():
            assert frames and kind(frames[-1]) == "stream_end", (request_id, self.session)
            if frames[-1].stream_end.status == EndStatus.END_STATUS_COMPLETED:
                text = "".join(f.stream_text.chunk for f in frames)
                assert text == self.said[request_id]
        self.feed(Detached())
        self.now += 10_000
        self.feed(Tick())
        assert self.session.idle, self.session


TestPromises = Promises.TestCase
TestPromises.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)

R, C = uid("request"), uid("call")


def test_a_call_s_clock_starts_at_once_and_expires() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(called(R, C), 0)
    frames = session.take(2, 10_000)
    assert frames[-1].tool_call.deadline_ms == 28_000
    assert session.alarm == 30
    assert told(session.feed(Tick(), 29.9)) == []
    assert told(session.feed(Tick(), 30)) == ["tool_call_expired"]
    assert told(session.feed(result(C), 31)) == []
    assert session.take(31, 10_000)[-1].error.code == ErrorCode.ERROR_CODE_TOOL_CALL_EXPIRED


def test_an_approval_has_five_minutes() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(called(R, C, requires_approval=True), 0)
    assert session.take(0, 10_000)[-1].tool_call.deadline_ms == 300_000
    assert told(session.feed(Tick(), 299)) == []
    assert told(session.feed(result(C), 299)) == ["result"]


def test_a_call_s_clock_stands_still_while_the_device_is_away() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(called(R, C), 0)
    session.take(0, 10_000)
    session.feed(Detached(), 10)
    assert told(session.feed(Tick(), 45)) == []
    session.feed(hello(resume=Resume(requests={R: 1})), 50)
    ready, call = session.take(55, 10_000)
    assert list(ready.device_ready.resumed) == [R]
    assert (call.tool_call.call_id, call.tool_call.seq) == (C, 2)
    assert call.tool_call.deadline_ms == 15_000
    assert told(session.feed(result(C), 60)) == ["result"]


def test_a_device_that_stays_away_is_gone() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(called(R, C), 0)
    session.feed(Detached(), 10)
    assert told(session.feed(Tick(), 70)) == ["device_gone"]
    assert told(session.feed(called(R, uid("later")), 71)) == ["device_gone"]
    session.feed(hello(resume=Resume(requests={R: 1})), 72)
    assert list(session.take(72, 10_000)[0].device_ready.lost) == [R]
    session.feed(ended(R), 73)
    assert session.take(73, 10_000) == []


def test_what_is_not_named_is_not_replayed() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.take(0, 10_000)
    session.feed(Detached(), 1)
    session.feed(said(R, "x"), 2)
    session.feed(hello(), 3)
    assert [kind(f) for f in session.take(3, 10_000)] == ["device_ready"]
    # A hello on the same socket may still name it.
    again = DeviceHello(device_id="device", resume=Resume(requests={R: 1}))
    session.feed(Received(ClientFrame(device_hello=again)), 4)
    assert [kind(f) for f in session.take(4, 10_000)] == ["device_ready", "stream_text"]


def test_a_request_that_says_nothing_any_more_can_still_be_resumed_for_a_while() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(ended(R), 0)
    session.take(0, 10_000)
    session.feed(Detached(), 50)
    session.feed(Tick(), 100)
    session.feed(hello(resume=Resume(requests={R: 0})), 105)
    assert [kind(f) for f in session.take(105, 10_000)] == [
        "device_ready",
        "stream_start",
        "stream_end",
    ]


def test_a_journal_that_was_cut_is_lost_and_never_replayed_in_part() -> None:
    session = connected(Limits(journal_bytes=1000))
    session.feed(ask(R), 0)
    for _ in range(10):
        session.feed(said(R, "x" * 300), 0)
        session.take(0, 10_000)
    session.feed(Detached(), 1)
    session.feed(hello(resume=Resume(requests={R: 2})), 2)
    (ready,) = session.take(2, 10_000)
    assert list(ready.device_ready.lost) == [R]


def test_a_full_journal_stops_the_reading_and_a_reader_starts_it_again() -> None:
    session = connected(Limits(journal_bytes=1000))
    session.feed(ask(R), 0)
    session.take(0, 10_000)
    session.feed(Detached(), 1)
    while session.has_room(R):
        session.feed(said(R, "x" * 100), 2)
    session.feed(hello(resume=Resume(requests={R: 1})), 3)
    session.take(3, 10_000)
    assert session.has_room(R)
    session.feed(Detached(), 4)
    assert not session.has_room(R)
    session.feed(Tick(), 64)  # nobody comes back: it runs on, unread
    assert session.has_room(R)


def test_text_that_waits_is_joined_and_sent_text_is_not() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(said(R, "a", "b"), 0)
    start, ab = session.take(0, 10_000)
    session.feed(said(R, "c"), 0)
    (c,) = session.take(0, 10_000)
    assert (kind(start), ab.stream_text.chunk, c.stream_text.chunk) == ("stream_start", "ab", "c")


def test_requests_take_turns() -> None:
    session = connected()
    other = uid("other")
    for request_id in (R, other):
        session.feed(ask(request_id), 0)
        for _ in range(3):
            session.feed(said(request_id, "x" * 5000), 0)
    order = [getattr(f, kind(f)).request_id for f in session.take(0, 1_000_000)]
    assert order == [R, other] * 4


def test_cancel_takes_back_calls_and_ends_by_itself() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.take(0, 10_000)
    session.feed(said(R, "so far"), 1)
    session.feed(called(R, C), 1)
    assert told(session.feed(cancel(R), 1)) == ["cancel"]
    assert session.feed(called(R, uid("later")), 1.1) == []
    assert session.feed(cancel(R), 1.2) == []
    assert session.feed(Tick(), 1 + Limits().cancel_s) == [Drop(R)]
    assert [kind(f) for f in session.take(2, 10_000)] == ["stream_text", "stream_end"]


def test_the_router_s_own_end_of_a_cancel_counts() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(cancel(R), 1)
    assert session.feed(ended(R), 1.5) == [Finish(R)]
    assert session.feed(Tick(), 5) == []
    assert [kind(f) for f in session.take(5, 10_000)] == ["stream_start", "stream_end"]


@pytest.mark.parametrize(
    ("effect", "value", "ids"),
    [
        (MutationOp.MUTATION_OP_CREATE, {"item": {"id": "a"}}, [C]),
        (MutationOp.MUTATION_OP_UPDATE, {"items": [{"id": "a"}]}, [C]),
        (
            MutationOp.MUTATION_OP_CREATE,
            {"items": [{"id": "a"}, {"id": "b"}]},
            [str(uuid5(UUID(C), "a")), str(uuid5(UUID(C), "b"))],
        ),
        (MutationOp.MUTATION_OP_DELETE, {"id": "a"}, [C]),
        (MutationOp.MUTATION_OP_CREATE, {"item": {"id": 5}}, []),
        (MutationOp.MUTATION_OP_CREATE, {"item": "a"}, []),
        (MutationOp.MUTATION_OP_CREATE, ["a"], []),
        (MutationOp.MUTATION_OP_CREATE, None, []),
        (None, {"item": {"id": "a"}}, []),
    ],
)
def test_changes(effect: MutationOp.ValueType | None, value: Any, ids: list[str]) -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(called(R, C, effect), 0)
    effects = session.feed(result(C, value), 1)
    changes = [e.mutation for e in effects if isinstance(e, FanOut)]
    assert [change.mutation_id for change in changes] == ids
    assert told(effects) == ["result"]
    session.feed(ended(R), 2)
    end = session.take(2, 10_000)[-1].stream_end
    assert [change.mutation_id for change in end.mutations] == ids
    assert all(change.HasField("data") == (effect != 3) for change in end.mutations)


def test_a_device_s_own_change_is_told_once_with_its_origin() -> None:
    session = connected()
    change = Mutation(mutation_id="m", op=MutationOp.MUTATION_OP_DELETE, entity=TASK, id="t")
    (effect,) = session.feed(Received(ClientFrame(mutation=change)), 0)
    assert isinstance(effect, FanOut)
    assert effect.mutation.origin.device_id == "device"
    assert session.feed(Received(ClientFrame(mutation=change)), 0) == []


def test_changes_that_fit_into_no_frame_are_told_without_their_data() -> None:
    session = connected()
    session.feed(ask(R), 0)
    for n in range(3):
        session.feed(called(R, uid(n), MutationOp.MUTATION_OP_UPDATE), 0)
        item = {"id": f"t{n}", "title": "x" * 400_000}
        fanned = session.feed(result(uid(n), {"item": item}), 0)
        assert [e.mutation.HasField("data") for e in fanned if isinstance(e, FanOut)] == [True]
    session.feed(ended(R), 0)
    (end,) = [f for f in session.take(0, 10_000_000) if f.HasField("stream_end")]
    assert [c.id for c in end.stream_end.mutations] == ["t0", "t1", "t2"]
    assert not any(c.HasField("data") for c in end.stream_end.mutations)


def test_request_ids_are_the_user_s() -> None:
    claimed: set[str] = set()
    first, second = make(claimed=claimed), make(claimed=claimed)
    for session in (first, second):
        session.feed(hello(), 0)
        session.take(0, 10_000)
    first.feed(ask(R), 0)
    assert second.feed(ask(R), 0) == []
    assert second.take(0, 1000)[0].error.code == ErrorCode.ERROR_CODE_DUPLICATE_REQUEST
    first.feed(ended(R), 0)
    first.take(0, 10_000)
    first.feed(Tick(), 61)
    assert [type(e) for e in second.feed(ask(R), 62)] == [Open]


def test_a_popup_opens_with_what_the_router_says() -> None:
    session = connected()
    asked = PopupRequest(message="x", scope=Scope(type="moon"), request_id=R)
    (effect,) = session.feed(Received(ClientFrame(popup_request=asked)), 0)
    assert isinstance(effect, Open)
    assert effect.start.scope.type == "moon"
    session.feed(Broken(R, LOST), 0)
    assert [kind(f) for f in session.take(0, 1000)] == ["stream_end"]


def test_activity_only_for_who_asked_for_it() -> None:
    for features, kinds in ([], ["stream_start"]), (["activity"], ["stream_start", "activity"]):
        session = connected(features=features)
        (opened,) = session.feed(ask(R), 0)
        assert isinstance(opened, Open)
        assert opened.start.wants_activity is bool(features)
        activity = ConverseOutput(
            frame=ServerFrame(activity=Activity(state=ActivityState.ACTIVITY_STATE_ROUTING))
        )
        session.feed(Produced(R, [activity]), 0)
        assert [kind(f) for f in session.take(0, 1000)] == kinds


def test_draining_says_goaway_and_takes_no_more() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(Draining(1500), 0)
    session.feed(ask(uid("later")), 0)
    session.feed(ended(R), 1)
    goaway, refused, start, end = session.take(1, 10_000)
    assert goaway.goaway.reconnect_after_ms == 1500
    assert refused.stream_end.error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    assert (kind(start), kind(end)) == ("stream_start", "stream_end")


def test_stopped_ends_everything() -> None:
    session = connected()
    session.feed(ask(R), 0)
    assert session.feed(Stopped(LOST), 0) == [Drop(R)]
    assert [kind(f) for f in session.take(1, 10_000)] == ["stream_start", "stream_end"]


def test_of_an_account_that_is_gone_nothing_is_kept() -> None:
    session = connected()
    done, away = uid("done"), uid("away")
    for request_id in (done, away, R):
        session.feed(ask(request_id), 0)
    for request_id in (done, away):
        session.feed(said(request_id, "a secret"), 0)
        session.feed(ended(request_id), 0)
    session.take(0, 10_000)
    session.feed(Erased(LOST), 1)
    assert not session.owns(done)
    assert [kind(f) for f in session.take(1, 10_000)] == ["stream_end"]
    assert not session.idle  # its socket is still there
    session.feed(Detached(), 1)
    assert session.idle


def test_of_an_account_that_goes_while_its_device_is_away_nothing_is_kept() -> None:
    session = connected()
    session.feed(ask(R), 0)
    session.feed(said(R, "a secret"), 0)
    session.feed(Detached(), 0)
    assert session.feed(Erased(LOST), 1) == [Drop(R)]
    assert session.idle


def test_rest_gets_the_text_and_the_device_the_calls_and_the_end() -> None:
    session = connected()
    session.feed(Asked(HomeRequest(message="x", request_id=R), device_connected=True), 0)
    effects = session.feed(said(R, "a"), 0)
    effects += session.feed(called(R, C), 0)
    effects += session.feed(ended(R), 0)
    collected = [kind(e.frame) for e in effects if isinstance(e, Collected)]
    assert collected == ["stream_text", "stream_end"]
    assert [kind(f) for f in session.take(0, 10_000)] == ["stream_end"]  # the call was taken back


def test_rest_without_a_device() -> None:
    session = make()
    session.feed(Asked(HomeRequest(message="x", request_id=R), device_connected=False), 0)
    assert told(session.feed(called(R, C), 0)) == ["device_gone"]
    effects = session.feed(ended(R), 0)
    assert [type(effect) for effect in effects] == [Finish, Collected]
    session.feed(Tick(), 1000)
    assert session.idle


def test_what_is_said_to_nobody_is_not_kept() -> None:
    session = make()
    for _ in range(100):
        session.feed(Say(ServerFrame(mutation=Mutation(mutation_id="m"))), 0)
    session.feed(hello(), 1)
    assert [kind(f) for f in session.take(1, 10_000)] == ["device_ready"]


def test_a_request_that_is_away_for_good_runs_on_as_long_as_an_answer_may_be() -> None:
    limits = Limits(journal_bytes=1000)
    session = connected(limits)
    session.feed(ask(R), 0)
    session.feed(Detached(), 0)
    session.feed(Tick(), limits.resume_window_s)
    assert session.has_room(R)
    assert session.feed(said(R, "x" * 400), 61) == []
    (dropped,) = session.feed(said(R, "x" * 400, "x" * 400, "x" * 400), 61)
    assert isinstance(dropped, Drop)
    assert dropped.end.error.code == ErrorCode.ERROR_CODE_DEVICE_GONE
    assert session.feed(ended(R), 61) == []
    assert session.running == 0


def test_a_request_that_is_lost_beside_its_device_is_bounded_too() -> None:
    session = connected(Limits(journal_bytes=1000))
    session.feed(ask(R), 0)
    session.feed(hello(resume=Resume(requests={R: 99})), 0)
    assert session.take(0, 10_000)[-1].device_ready.lost == [R]
    effects = session.feed(said(R, "x" * 2000), 0)
    assert [type(effect) for effect in effects] == [Drop]
    session.feed(ask(R), 0)
    assert "stream_start" in [kind(frame) for frame in session.take(0, 10_000)]


@pytest.mark.parametrize("reads", [True, False], ids=["slow", "away"])
def test_who_does_not_read_leaves_room_for_the_users_other_devices(reads: bool) -> None:
    limits, share = Limits(), Share(Pool(Budget()))
    session = make(limits, share=share)
    session.feed(hello(), 0)
    requests = [uid(n) for n in range(limits.max_concurrent_requests)]
    for request_id in requests:
        session.feed(ask(request_id), 0)
        session.take(0, 10_000_000)
    if not reads:
        session.feed(Detached(), 0)
    for _ in range(1000):
        for request_id in requests:
            if session.has_room(request_id):
                session.feed(said(request_id, "x" * 16_384), 0)
    assert not any(session.has_room(request_id) for request_id in requests)
    assert share.problem(1_000_000) is None


def test_what_rest_waits_for_is_never_in_vain() -> None:
    session = make(Limits(journal_bytes=1000))
    session.feed(Asked(HomeRequest(message="x", request_id=R), device_connected=False), 0)
    effects = session.feed(said(R, *["x" * 400] * 10), 0)
    assert [type(effect) for effect in effects] == [Collected] * 10


def test_too_much_that_waits_overflows() -> None:
    session = connected(replace(Limits(), hard_bytes=1000))
    assert not session.overflowing
    for _ in range(20):
        session.feed(Say(ServerFrame(mutation=Mutation(mutation_id="m" * 100))), 0)
    assert session.overflowing
