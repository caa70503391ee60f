"""The pure session at two edges: a device that moves between them at will gets what it would
get from one (PROTOCOL §4), and the rules of links and relays one by one."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from edge.access.budgets import Budget, Pool, Share
from edge.session.device_session import Session
from edge.session.events import (
    Answered,
    Attached,
    Broken,
    Detached,
    Effect,
    FanOut,
    Leave,
    Linked,
    Open,
    Pass,
    Passed,
    Produced,
    Received,
    RelayLost,
    Seek,
    Spoiled,
    Tick,
    Unlink,
    Unlinked,
)
from edge.session.limits import Limits
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import (
    Activity,
    ActivityState,
    ClientFrame,
    DeviceHello,
    DeviceReady,
    EndStatus,
    MutationOp,
    Resume,
    ServerFrame,
    StreamEnd,
    StreamText,
)
from switchboard.v3.router_pb2 import ConverseOutput
from tests.unit.edge.session.test_device_session import (
    LOST,
    C,
    Promises,
    R,
    ask,
    called,
    cancel,
    ended,
    hello,
    is_open,
    kind,
    result,
    said,
    told,
    uid,
)


def edge(number: int = 0, limits: Limits | None = None) -> Session:
    ids = iter(range(1_000_000))
    return Session(
        user_id="user",
        device_id="device",
        limits=limits or Limits(),
        ready=DeviceReady(server_version="0", heartbeat_s=20),
        claimed=set(),
        share=Share(Pool(Budget())),
        new_id=lambda: uid(f"made {number} {next(ids)}"),
        alone=False,
    )


def aside(frame: ClientFrame, spoiled: bool) -> Received | Spoiled:
    return Spoiled(frame, aside=True) if spoiled else Received(frame, aside=True)


class Roaming(Promises):
    """The same device and the same promises, with two edges for it to go to."""

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(max_concurrent_requests=3, journal_bytes=4000)
        self.edges = [edge(0, limits), edge(1, limits)]
        self.at = 0
        self.session = self.edges[0]
        self.owner: dict[str, int] = {}
        self.links: dict[str, int] = {}  # which Attach stream reads a request at its owner
        self.relays: dict[tuple[int, str], int] = {}  # and by which one it is read elsewhere
        self.streams = 0
        self.session.feed(hello(), 0)

    def feed(self, event: Any) -> None:
        match event:
            case Produced() | Broken():
                self.feed_at(self.owner[event.request_id], event)
            case Tick():
                self.feed_at(0, event)
                self.feed_at(1, event)
            case _:
                self.feed_at(self.at, event)

    def feed_at(self, number: int, event: Any) -> None:
        self.session = self.edges[number]  # for Promises.feed
        for effect in self.follow(number, event):
            match effect:
                case Pass(request_id, frame, spoiled):
                    self.feed_at(self.owner[request_id], aside(frame, spoiled))
                case Leave(request_id):
                    self.leave(number, request_id)
                case Unlink(request_id):
                    self.links.pop(request_id)
                case Seek(frame, spoiled):
                    other = self.edges[1 - number]
                    if other.called(frame.tool_result.call_id) or other.owns(
                        frame.cancel.request_id
                    ):
                        self.feed_at(1 - number, aside(frame, spoiled))
        self.session = self.edges[self.at]

    def follow(self, number: int, event: Any) -> list[Effect]:
        """Lets the promises see what this edge does."""
        effects = self.edges[number].feed(event, self.now)
        for effect in effects:
            if isinstance(effect, Open):
                self.owner[effect.request_id] = number
        self.session = Fed(effects)  # type: ignore[assignment]
        super().feed(event)
        return effects

    def leave(self, number: int, request_id: str) -> None:
        stream = self.relays.pop((number, request_id), None)
        if stream is not None and self.links.get(request_id) == stream:
            del self.links[request_id]
            self.feed_at(self.owner[request_id], Unlinked(request_id))

    @rule(request_id=Promises.requests)
    def ask(self, request_id: str) -> None:
        elsewhere = self.edges[1 - self.at].owns(request_id)  # a duplicate, as the edges find
        if self.there and not elsewhere and request_id not in self.got | self.lost_ones():
            self.feed(ask(request_id))

    def lost_ones(self) -> dict[str, None]:
        return dict.fromkeys(self.lost)

    @precondition(lambda self: self.links)
    @rule(budget=st.integers(1, 300))
    def carry(self, budget: int) -> None:
        """Frames go from edge to edge."""
        for request_id, stream in list(self.links.items()):
            to = next(to for (to, id_), each in self.relays.items() if each == stream)
            if self.edges[to].has_room(request_id):
                owner = self.edges[self.owner[request_id]]
                frames = owner.take(self.now, budget, request_id)
                self.feed_at(to, Passed(request_id, frames))
                if any(kind(frame) == "stream_end" for frame in frames):
                    self.leave(to, request_id)

    @rule(to=st.integers(0, 1))
    def resume(self, to: int = 0) -> None:
        """Connects to either edge, perhaps while an old socket still looks alive."""
        self.in_flight = []
        last = {
            request_id: getattr(frames[-1], kind(frames[-1])).seq if frames else 0
            for request_id, frames in self.got.items()
            if not (frames and kind(frames[-1]) == "stream_end")
        }
        relayed = []
        for request_id, seq in last.items():
            owner = self.owner[request_id]
            if owner != to and self.attach(owner, to, request_id, seq):
                relayed.append(request_id)
        self.there, self.at = True, to
        device = DeviceHello(device_id="device", resume=Resume(requests=last))
        fresh = {id_: self.relays.pop((to, id_)) for id_ in relayed}
        self.feed_at(to, Attached(device, relayed))
        self.relays |= {(to, id_): stream for id_, stream in fresh.items()}
        if self.edges[1 - to].connected:
            self.feed_at(1 - to, Detached())

    def everything(self) -> list[ServerFrame]:
        frames: list[ServerFrame] = []
        while True:
            self.carry(1_000_000)
            if not (taken := super().everything()):
                return frames
            frames += taken

    def waits(self, call_id: str) -> bool:
        return any(is_open(each, call_id) for each in self.edges)

    def attach(self, owner: int, to: int, request_id: str, seq: int) -> bool:
        if self.edges[owner].connected:
            self.feed_at(owner, Detached())
        if self.links.pop(request_id, None) is not None:
            self.feed_at(owner, Unlinked(request_id))
        self.feed_at(owner, Linked(request_id, seq, ()))
        if not self.edges[owner].linked(request_id):
            return False
        self.streams += 1
        self.links[request_id] = self.relays[to, request_id] = self.streams
        return True

    def teardown(self) -> None:
        for request_id in self.said:
            if request_id not in self.done:
                self.feed(ended(request_id))
        self.resume(1)
        for _ in range(10_000):
            if self.links:
                self.carry(10_000)
            if not (frames := self.session.take(self.now, 10_000)):
                break
            self.receive(frames)
        for request_id, frames in self.got.items():
            assert frames and kind(frames[-1]) == "stream_end", (request_id, self.edges)
            if frames[-1].stream_end.status == EndStatus.END_STATUS_COMPLETED:
                text = "".join(f.stream_text.chunk for f in frames)
                assert text == self.said[request_id]
        self.feed(Detached())
        self.now += 10_000
        self.feed(Tick())
        assert all(each.idle for each in self.edges), self.edges

    @invariant()
    def one_edge_has_the_device(self) -> None:
        assert sum(each.connected for each in self.edges) <= 1


class Fed:
    """Stands for a session that has decided already."""

    def __init__(self, effects: list[Effect]) -> None:
        self._effects = effects

    def feed(self, event: Any, now: float) -> list[Effect]:
        return self._effects


TestRoaming = Roaming.TestCase
TestRoaming.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def relayed(seq: int = 0) -> Session:
    """A session that reads R, which another edge runs."""
    session = edge()
    hello_ = DeviceHello(device_id="device", resume=Resume(requests={R: seq}))
    session.feed(Attached(hello_, [R]), 0)
    (ready,) = session.take(0, 10_000)
    assert list(ready.device_ready.resumed) == [R]
    return session


def passed(*frames: ServerFrame) -> Passed:
    return Passed(R, frames)


def text(seq: int) -> ServerFrame:
    return ServerFrame(stream_text=StreamText(request_id=R, seq=seq, chunk=f"{seq} "))


def test_relayed_frames_keep_their_numbers_and_deadlines() -> None:
    owner, reader = edge(), relayed()
    owner.feed(hello(), 0)
    owner.feed(ask(R), 0)
    owner.feed(called(R, C), 0)
    owner.take(0, 10_000)
    owner.feed(Detached(), 5)
    assert owner.feed(Linked(R, 1, ()), 20) == []
    frames = owner.take(30, 10_000, R)
    assert [frame.tool_call.deadline_ms for frame in frames] == [15_000]
    reader.feed(passed(*frames), 0)
    assert reader.take(40, 10_000) == frames
    (given,) = reader.feed(result(C), 41)
    assert isinstance(given, Pass)
    assert told(owner.feed(Received(given.frame, aside=True), 31)) == ["result"]


def test_an_owner_that_is_lost_ends_the_request_after_what_came() -> None:
    reader = relayed(seq=3)
    reader.feed(passed(text(4), text(5)), 0)
    reader.feed(RelayLost(R, LOST), 0)
    *texts, end = reader.take(0, 10_000)
    assert [frame.stream_text.seq for frame in texts] == [4, 5]
    assert (end.stream_end.seq, end.stream_end.status) == (6, EndStatus.END_STATUS_FAILED)
    assert end.stream_end.error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    reader.feed(RelayLost(R, LOST), 0)
    assert reader.take(0, 10_000) == []
    assert [type(each) for each in reader.feed(ask(R), 0)] == [Open]


def test_an_owner_that_is_lost_after_the_end_changes_nothing() -> None:
    reader = relayed()
    end = ServerFrame(stream_end=StreamEnd(request_id=R, seq=1))
    reader.feed(passed(end), 0)
    reader.feed(RelayLost(R, LOST), 0)
    assert reader.take(0, 10_000) == [end]


def test_what_is_relayed_counts_as_running_and_as_known() -> None:
    session = edge(limits=Limits(max_concurrent_requests=1))
    hello_ = DeviceHello(device_id="device", resume=Resume(requests={R: 0}))
    session.feed(Attached(hello_, [R]), 0)
    session.take(0, 10_000)
    session.feed(ask(R), 0)
    session.feed(ask(uid("another")), 0)
    duplicate, end = session.take(0, 10_000)
    assert duplicate.error.code == ErrorCode.ERROR_CODE_DUPLICATE_REQUEST
    assert end.stream_end.error.code == ErrorCode.ERROR_CODE_TOO_MANY_REQUESTS


def test_cancels_go_to_the_owner_and_a_socket_that_goes_leaves_it() -> None:
    reader = relayed()
    (given,) = reader.feed(cancel(R), 0)
    assert isinstance(given, Pass)
    assert given.frame.cancel.request_id == R
    assert reader.feed(Detached(), 0) == [Leave(R)]
    assert reader.idle


def test_a_slow_socket_stops_the_reading_of_what_is_relayed() -> None:
    session = edge(limits=Limits(soft_bytes=100, hard_bytes=200))
    hello_ = DeviceHello(device_id="device", resume=Resume(requests={R: 0}))
    session.feed(Attached(hello_, [R]), 0)
    session.take(0, 10_000)
    assert session.has_room(R)
    session.feed(passed(*[text(seq) for seq in range(1, 10)]), 0)
    assert not session.has_room(R)
    assert session.overflowing
    session.take(0, 10_000)
    assert session.has_room(R)


def test_a_link_that_goes_leaves_the_device_away() -> None:
    owner = edge()
    owner.feed(hello(), 0)
    owner.feed(ask(R), 0)
    owner.feed(Detached(), 0)
    owner.feed(Linked(R, 0, ()), 10)
    assert owner.feed(Tick(), 100) == []
    owner.feed(called(R, C), 100)
    owner.feed(Unlinked(R), 110)
    assert told(owner.feed(Tick(), 169)) == []
    assert told(owner.feed(Tick(), 170)) == ["device_gone"]


def test_a_socket_takes_over_from_a_link() -> None:
    owner = edge()
    owner.feed(hello(), 0)
    owner.feed(ask(R), 0)
    owner.feed(Detached(), 0)
    owner.feed(Linked(R, 0, ()), 0)
    assert Unlink(R) in owner.feed(hello(resume=Resume(requests={R: 0})), 0)
    assert owner.take(0, 10_000, R) == []
    assert [kind(frame) for frame in owner.take(0, 10_000)] == ["device_ready", "stream_start"]


def test_what_cannot_be_given_whole_is_not_linked() -> None:
    owner = edge(limits=Limits(journal_bytes=1))
    owner.feed(hello(), 0)
    owner.feed(ask(R), 0)
    owner.feed(said(R, "a"), 0)
    owner.take(0, 1)
    owner.take(0, 10_000)
    owner.feed(Detached(), 0)
    owner.feed(Linked(R, 0, ()), 0)
    owner.feed(Linked(uid("unknown"), 0, ()), 0)
    assert not owner.linked(R)
    assert not owner.linked(uid("unknown"))


def test_a_link_takes_what_its_hello_switched_on() -> None:
    state = Activity(agent="task_agent", state=ActivityState.ACTIVITY_STATE_THINKING)
    activity = Produced(R, [ConverseOutput(frame=ServerFrame(activity=state))])
    for features, expected in (((), []), (("activity",), ["activity"])):
        owner = edge()
        owner.feed(hello(), 0)
        owner.feed(ask(R), 0)
        owner.take(0, 10_000)
        owner.feed(Detached(), 0)
        owner.feed(Linked(R, 1, features), 0)
        owner.feed(activity, 0)
        assert [kind(frame) for frame in owner.take(0, 10_000, R)] == expected


def test_late_and_unknown_results_by_way_of_another_edge() -> None:
    owner, other = edge(), edge()
    owner.feed(hello(), 0)
    owner.feed(ask(R), 0)
    owner.feed(called(R, C, MutationOp.MUTATION_OP_CREATE), 0)
    owner.take(0, 10_000)
    owner.feed(ended(R), 1)
    other.feed(hello(), 2)
    late = result(C, {"item": {"id": "t"}})
    assert other.feed(late, 2) == [Seek(late.frame)]
    change, refused = owner.feed(Received(late.frame, aside=True), 2)
    assert isinstance(change, FanOut)
    assert isinstance(refused, Answered)
    assert refused.frame.error.code == ErrorCode.ERROR_CODE_TOOL_CALL_EXPIRED
    (unknown,) = owner.feed(Received(result(uid("nobody's")).frame, aside=True), 2)
    assert isinstance(unknown, Answered)
    assert unknown.frame.error.code == ErrorCode.ERROR_CODE_TOOL_CALL_UNKNOWN
