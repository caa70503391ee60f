"""One device's session, over as many sockets as it takes. Pure: events in, effects
out, time a parameter (seconds of any clock that only goes forward).

Rules, from PROTOCOL §4:
- each accepted request gets exactly one `stream_end`, its last frame;
- frames of a request are numbered 1, 2, 3 … as they leave, and never change then;
- a socket that goes away leaves its requests running: their frames and calls wait
  until the resume window ends, then nobody is expected any more;
- a result is taken once, and after its call is over only the change it tells of is.

The device may be connected to another edge: then a link reads its requests here, each for
itself. Or a request of its runs at another edge, and is relayed here (edge/session/relayed.py).

`feed` decides; `take` hands out what a socket may send, a frame of each request in turn.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, MutableSet
from itertools import islice
from typing import Final, assert_never

from edge.access.budgets import Kept, Share, too_many
from edge.access.rate_limit import too_fast
from edge.session import calls
from edge.session.calls import Call, CallBook, CallState, never_asked
from edge.session.converse_start import start_of
from edge.session.events import (
    Abandoned,
    Answered,
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
    Inherited,
    Input,
    Joined,
    Leave,
    Linked,
    Offered,
    Open,
    Orphaned,
    Pass,
    Passed,
    Produced,
    Received,
    Refused,
    RelayLost,
    Resumed,
    Say,
    Seek,
    Spoiled,
    Stopped,
    Tell,
    Tick,
    Unlink,
    Unlinked,
)
from edge.session.limits import PROTOCOL, Limits, check_mutation, check_request
from edge.session.outbox import Outbox
from edge.session.relayed import Link, Relays
from edge.session.requests import Answer, Answers, State
from edge.session.timers import Alarms, Due
from edge.wire.error_frames import REFUSALS, duplicate, refusal_of, unknown_call
from edge.wire.truncate import fit_change, fitted_end
from runtime.errors import SwitchboardError, word
from runtime.held import overloaded
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.frames_pb2 import (
    Cancel,
    ClientFrame,
    DataResponse,
    DeviceHello,
    DeviceReady,
    EndStatus,
    Goaway,
    HomeRequest,
    Mutation,
    Origin,
    Pong,
    PopupRequest,
    ServerFrame,
    StreamEnd,
    StreamStart,
    ToolResult,
)
from switchboard.v3.router_pb2 import ConverseCancel, ConverseInput, ConverseOutput

FEATURES: Final = frozenset({"activity"})
"""What a hello may switch on."""

TOLD_NAMES: Final = 64
"""So many unknown names of tools are told, each up to …"""

TOLD_CHARS: Final = 128
"""… so many characters."""

RETURN_S: Final = 2.0
"""How long a device takes that changes its network or its edge, in seconds."""

REMEMBERED: Final = 512
"""So many of the device's own changes are known again when they are sent twice."""

SESSION_BYTES: Final = 4 * 1024
"""What a session takes of memory that keeps nothing, with its device."""

SEEN_BYTES: Final = 256
"""What a change takes that is known again: an id has up to 128 characters."""


class Session:
    """What one device asked, and what it is to be told.

    `claimed`: request ids of the user that are running or kept, `share`: what the requests
    that run hold; both shared by the user's sessions. `ready`: what this server says of
    itself in `device_ready`. `pace`: counts a request of the user; returns 0, or how many
    seconds it comes too soon. `alone`: there are no other edges. `draining`: this one is
    going away, and takes no more requests.
    """

    def __init__(
        self,
        *,
        user_id: str,
        device_id: str,
        limits: Limits,
        ready: DeviceReady,
        claimed: MutableSet[str],
        share: Share,
        new_id: Callable[[], str],
        pace: Callable[[float], float] = lambda _: 0.0,
        alone: bool = True,
        draining: bool = False,
    ) -> None:
        self.user_id = user_id
        self.device_id = device_id
        self.session_id = new_id()
        self._limits = limits
        self._ready = ready
        self._new_id = new_id
        self._pace = pace
        self._alone = alone
        self._hello: DeviceHello | None = None  # of the socket of now
        self._draining = draining
        self._erased = False
        self._share = share
        self._kept = Kept(share)
        self._answers = Answers(limits, claimed, share)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._alarms = Alarms()
        self._calls = CallBook(self._alarms)
        self._outbox = Outbox()
        self._links: dict[str, Link] = {}  # who reads elsewhere, while no socket reads here
        self._relays = Relays()  # what runs elsewhere and is read here
        self._effects: list[Effect] = []

    def __repr__(self) -> str:
        there = "connected" if self._hello else "away"
        return f"Session({there}, {list(self._answers)})"

    # What the shell may ask.

    @property
    def connected(self) -> bool:
        """Whether a socket reads."""
        return self._hello is not None

    @property
    def alarm(self) -> float | None:
        """When a Tick is due next."""
        return self._alarms.next

    @property
    def ready(self) -> bool:
        """Whether `take` has something to hand out."""
        return bool(self._outbox)

    def link_ready(self, request_id: str) -> bool:
        """The same for the link of a request."""
        return bool(self._links[request_id].outbox) if request_id in self._links else False

    def linked(self, request_id: str) -> bool:
        """Whether a link reads this request."""
        return request_id in self._links

    def owns(self, request_id: str) -> bool:
        """Whether this request is the device's, and runs or is kept here."""
        return request_id in self._answers

    def called(self, call_id: str) -> bool:
        """Whether this call or query was made here, and is remembered."""
        return call_id in self._calls

    @property
    def unheard(self) -> list[str]:
        """Requests of REST that the device cannot name, and has not had the end of."""
        return self._answers.unheard

    @property
    def owing(self) -> bool:
        """Whether something waits that no socket and no link has had yet."""
        return self._answers.waiting_bytes > 0

    @property
    def running(self) -> int:
        """How many requests have not ended."""
        return self._answers.running

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if this session were forgotten."""
        return not (self.connected or self._answers or self._calls or self._links)

    @property
    def overflowing(self) -> bool:
        """Whether more waits for the socket than may wait."""
        control = self._outbox.control_bytes
        waiting = control + self._answers.waiting_bytes + self._relays.waiting_bytes
        # Answers wait at their models while the user holds too much; for the rest nobody waits.
        crowded = self._share.room < 0 and control > self._limits.soft_bytes
        return self.connected and (crowded or waiting > self._limits.hard_bytes)

    def has_room(self, request_id: str) -> bool:
        """Whether more of this request should be read from the router, or its edge."""
        if relay := self._relays.get(request_id):
            return relay.waiting_bytes < self._limits.soft_bytes
        answer = self._answers.get(request_id)
        if answer is None or answer.abandoned or not answer.running:
            return True
        crowded = self._share.crowded
        if answer.attached:
            return answer.waiting_bytes < (1 if crowded else self._limits.soft_bytes)
        return not (answer.full or crowded)

    def feed(self, event: Input, now: float) -> list[Effect]:
        """Takes in what happened, and returns what is to be done about it, in order."""
        match event:
            case Received(frame, aside):
                self._received(frame, now, aside=aside)
            case Spoiled(frame, aside):
                self._spoiled(frame, now, aside=aside)
            case Inherited():
                self._inherit(event, now)
            case Abandoned(request_id):
                self._abandon(self._answers.get(request_id), now)
            case Offered(request_id):
                self._offered(request_id, now)
            case Produced(request_id, outputs):
                self._produced(request_id, outputs, now)
            case Tick():
                for due, key in self._alarms.ring(now):
                    self._check(due, key, now)
            case Attached(hello, relayed):
                self._detach(now)
                for id_ in relayed:
                    self._relays.begin(id_, hello.resume.requests[id_])
                self._attach(hello, now)
            case Detached():
                self._detach(now)
            case Asked(request, device_connected):
                self._asked(request, device_connected, now)
            case Broken(request_id, error):
                self._broken(request_id, error, now)
            case Say(frame):
                self._say(frame)
            case Draining(reconnect_after_ms):
                self._drain(reconnect_after_ms)
            case Stopped(error):
                self._stop(error, now)
            case Erased(error):
                self._erase(error, now)
            case Linked():
                self._link(event, now)
            case Unlinked(request_id):
                self._unlink(request_id, now)
            case Joined(request_id):
                if self.connected:
                    self._relays.begin(request_id, 0)
            case Passed(request_id, frames):
                self._passed(request_id, frames)
            case RelayLost(request_id, error):
                self._relay_lost(request_id, error)
            case _:
                assert_never(event)
        self._count()
        effects, self._effects = self._effects, []
        return effects

    def take(self, now: float, budget: int, link: str | None = None) -> list[ServerFrame]:
        """What the socket, or a request's link, may send now: about `budget` bytes, in order."""
        if link is not None and link not in self._links:
            return []
        outbox = self._outbox if link is None else self._links[link].outbox
        taken = []
        while budget > 0 and (frame := outbox.next()) is not None:
            if not self._relays.owns(frame):
                self._calls.set_deadline(frame, now)
            taken.append(frame)
            budget -= frame.ByteSize()
        self._relays.sweep()
        self._count()
        return taken

    def _count(self) -> None:
        """Says what is kept; where the user holds too much by now, what may be given up goes."""
        self._kept.is_now(self._kept_bytes)
        if self._share.room < 0:
            self._answers.shorten()
            self._kept.is_now(self._kept_bytes)

    @property
    def _kept_bytes(self) -> int:
        if self.idle:  # it is forgotten
            return 0
        frames = self._outbox.control_bytes + self._relays.waiting_bytes
        calls = self._calls.kept_bytes + len(self._seen) * SEEN_BYTES
        return SESSION_BYTES + self._answers.kept_bytes + frames + calls

    def _drain(self, reconnect_after_ms: int) -> None:
        self._draining = True
        goaway = Goaway(reason="The server is going away.", reconnect_after_ms=reconnect_after_ms)
        self._say(ServerFrame(goaway=goaway))

    # Sockets that come and go.

    def _attach(self, hello: DeviceHello, now: float) -> None:
        self._hello = hello
        resumed: list[str] = []
        lost: list[str] = []
        for request_id, seq in hello.resume.requests.items():
            going_on = self._resume(request_id, seq, now)
            (resumed if going_on else lost).append(request_id)
        ready = DeviceReady(
            session_id=self.session_id,
            features=sorted(FEATURES.intersection(hello.features)),
            limits=self._limits.to_proto(),
            resumed=resumed,
            lost=lost,
            protocol=PROTOCOL,
        )
        if resumed or lost:
            self._effects.append(Resumed(len(resumed), len(lost)))
        ready.MergeFrom(self._ready)
        if ready.HasField("catalogue"):
            ready.catalogue.unknown.extend(self._unknown(hello))
        self._say(ServerFrame(device_ready=ready))
        for answer in self._answers:
            # The device has never heard of what REST asked of it: it cannot name it.
            if answer.quiet and not answer.attached and self._go_back(answer, 0):
                self._run_clocks(answer, now)

    def _unknown(self, hello: DeviceHello) -> list[str]:
        """What of the hello's tools nobody knows: a name that is misspelt is never called."""
        known = self._ready.catalogue.tools
        unknown = (name[:TOLD_CHARS] for name in hello.tools.values if name not in known)
        return list(islice(dict.fromkeys(unknown), TOLD_NAMES))

    def _resume(self, request_id: str, seq: int, now: float) -> bool:
        answer = self._answers.get(request_id)
        if answer is None or answer.attached:
            return answer is not None or request_id in self._relays
        if not self._go_back(answer, seq):
            self._abandon(answer, now)
            return False
        self._run_clocks(answer, now)
        return True

    def _go_back(self, answer: Answer, seq: int) -> bool:
        return answer.resume(seq, self._calls.pending(answer.request_id, seq))

    def _run_clocks(self, answer: Answer, now: float) -> None:
        self._wake(answer)
        self._calls.start_all(answer.request_id, now)

    def _detach(self, now: float) -> None:
        self._hello = None
        self._outbox.clear()
        self._effects += [Unlink(request_id) for request_id in self._links]
        self._links.clear()
        self._effects += [Leave(request_id) for request_id in self._relays]
        self._relays.clear()
        for answer in self._answers:
            self._leave(answer, now)

    def _leave(self, answer: Answer, now: float) -> None:
        """Nobody reads it for now."""
        if self._erased:
            self._answers.forget(answer)
        elif answer.attached:
            window_s = self._limits.resume_window_s
            # A caller of REST waits for it meanwhile, and another device may do as well.
            self._expect(answer, now + (min(RETURN_S, window_s) if answer.quiet else window_s))
            self._calls.pause_all(answer.request_id, now)

    def _expect(self, answer: Answer, until: float) -> None:
        """A reader may come until then."""
        answer.detach(until)
        self._alarms.at(until, Due.AWAY, answer.request_id)

    def _offered(self, request_id: str, now: float) -> None:
        """Where the device does not read it here, it is given once more time to begin."""
        if (answer := self._answers.get(request_id)) and not answer.attached:
            answer.offered = True
            self._expect(answer, now + RETURN_S)

    def _link(self, link: Linked, now: float) -> None:
        answer = self._answers.get(link.request_id)
        if answer is None:
            return
        if not self._go_back(answer, link.seq):
            self._abandon(answer, now)
            return
        self._links[link.request_id] = Link(Outbox(), frozenset(link.features))
        self._run_clocks(answer, now)

    def _unlink(self, request_id: str, now: float) -> None:
        left = self._answers.get(request_id)
        if self._links.pop(request_id, None) and left:
            self._leave(left, now)

    # Requests that run at another edge.

    def _passed(self, request_id: str, frames: Iterable[ServerFrame]) -> None:
        relay = self._relays.get(request_id)
        for frame in frames:
            if frame.HasField("error"):
                self._say(frame)
            elif relay is not None and not relay.ended:
                relay.say(frame)
                self._outbox.wake(relay)

    def _relay_lost(self, request_id: str, error: Error) -> None:
        if relay := self._relays.get(request_id):
            failed = EndStatus.END_STATUS_FAILED
            end = StreamEnd(request_id=request_id, seq=relay.seq + 1, status=failed, error=error)
            self._passed(request_id, [ServerFrame(stream_end=end)])

    def _abandon(self, answer: Answer | None, now: float) -> None:
        """The device will not hear of it any more; the request itself runs on."""
        if answer is None or answer.attached:
            return
        answer.abandon()
        for call in self._calls.open(answer.request_id):
            self._tell(call.request_id, self._calls.give_up(call, "device_gone", now))
        if not answer.running:
            self._answers.forget(answer)

    # Frames from the device.

    def _received(self, frame: ClientFrame, now: float, *, aside: bool) -> None:
        kind = frame.WhichOneof("frame")
        body = getattr(frame, kind or "")
        try:
            match body:
                case ToolResult() | DataResponse():
                    self._result(frame, body, now, aside=aside)
                case HomeRequest() | PopupRequest():
                    self._request(body, now)
                case Cancel():
                    self._cancel(frame, now, aside=aside)
                case Mutation():
                    self._mutation(body)
                case DeviceHello():
                    self._attach(body, now)
                case _:  # Ping
                    nonce = body.nonce if body.HasField("nonce") else None
                    self._say(ServerFrame(pong=Pong(nonce=nonce)))
        except REFUSALS as error:
            refusal = refusal_of(error, kind or "", body)
            if aside:
                self._effects.append(Answered(refusal))
            else:
                self._say(refusal)

    def _request(self, asked: HomeRequest | PopupRequest, now: float) -> None:
        check_request(asked, self._limits)
        request_id = asked.request_id or self._new_id()
        if self._answers.claims(request_id) or request_id in self._relays:
            raise duplicate()
        if wait := self._pace(now):
            raise too_fast(wait)
        size = asked.ByteSize()
        if problem := self._no_room(size):
            end = StreamEnd(request_id=request_id, seq=1, status=EndStatus.END_STATUS_FAILED)
            end.error.CopyFrom(problem.to_proto())
            self._say(ServerFrame(stream_end=end))
            self._effects.append(Refused(_surface(asked), end))
            return
        answer = self._answers.accept(request_id, quiet=False, attached=True, held=size)
        if isinstance(asked, HomeRequest):
            answer.say(ServerFrame(stream_start=StreamStart(request_id=request_id)))
            self._wake(answer)
        self._open(request_id, asked)

    def _asked(self, asked: HomeRequest, device_connected: bool, now: float) -> None:
        size = asked.ByteSize()
        problem = self._no_room(size)
        answer = self._answers.accept(
            asked.request_id, quiet=True, attached=device_connected, held=size
        )
        if not device_connected:
            answer.abandon()
        if problem:
            end = StreamEnd(status=EndStatus.END_STATUS_FAILED, error=problem.to_proto())
            self._effects.append(Refused(_surface(asked), end))
            self._end(answer, end, now)
            return
        self._open(asked.request_id, asked)

    def bequeath(self, request_id: str, now: float) -> Inherited | None:
        """Gives away a request of REST, for another session of the user.

        None: it is over, or this device reads it again.
        """
        answer = self._answers.get(request_id)
        if answer is None or answer.state is not State.RUNNING or answer.attached:
            return None
        given = self._calls.give_away(request_id, now)
        self._answers.release(answer)
        return Inherited(request_id, answer.held, answer.agent, answer.mutations, given)

    def _inherit(self, left: Inherited, now: float) -> None:
        answer = self._answers.accept(
            left.request_id, quiet=True, attached=self.connected, held=left.held
        )
        answer.agent, answer.mutations = left.agent, list(left.mutations)
        self._offered(left.request_id, now)
        for call in left.calls:
            self._calls.forget(call.id)  # it may have been given away from here before
            if call.may_be_done:  # to ask another device for it could make the change twice
                self._tell(left.request_id, never_asked(call))
            else:
                frame = ServerFrame()
                frame.CopyFrom(call.frame or frame)
                self._ask(answer, frame, call, now)

    def _open(self, request_id: str, asked: HomeRequest | PopupRequest) -> None:
        start = start_of(
            asked,
            self._hello,
            user_id=self.user_id,
            device_id=self.device_id,
            session_id=self.session_id,
        )
        self._effects.append(Open(request_id, start))

    def _no_room(self, size: int) -> SwitchboardError | None:
        if self._draining:
            return SwitchboardError(
                ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "The server is going away."
            )
        most = self._limits.max_concurrent_requests
        if self.running + self._relays.running >= most:
            return too_many(f"{most} requests of a device may run at once.")
        if not self._share.fits(size):  # what has left here makes room for what is new
            self._answers.shorten()
            self._count()
        return self._share.problem(size)

    def _cancel(self, frame: ClientFrame, now: float, *, aside: bool) -> None:
        request_id = frame.cancel.request_id
        if request_id in self._relays:
            self._effects.append(Pass(request_id, frame))
            return
        answer = self._answers.get(request_id)
        if answer is None and not (self._alone or aside):
            self._effects.append(Seek(frame))  # it may be lost for this device, and run on there
        if answer is None or answer.state is not State.RUNNING:
            return
        answer.state = State.CANCELLING
        answer.withdraw_calls()
        self._calls.close_all(answer.request_id, now)
        self._tell(request_id, ConverseInput(cancel=ConverseCancel()))
        answer.next_step_at = now + self._limits.cancel_s
        self._alarms.at(answer.next_step_at, Due.CANCEL, request_id)

    def _mutation(self, mutation: Mutation) -> None:
        check_mutation(mutation)
        if mutation.mutation_id in self._seen:
            return
        self._seen[mutation.mutation_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        mutation.ClearField("origin")
        self._fan_out(mutation, None)

    def _result(
        self, frame: ClientFrame, result: ToolResult | DataResponse, now: float, *, aside: bool
    ) -> None:
        call, elsewhere = self._called(result)
        if elsewhere:
            self._effects.append(Pass(elsewhere, frame))
            return
        if call is None and not (self._alone or aside):
            self._effects.append(Seek(frame))
            return
        if call is None:
            raise unknown_call()
        if call.state is CallState.ANSWERED:
            return
        in_time = call.state is CallState.OPEN
        self._calls.close(call, CallState.ANSWERED, now)
        if isinstance(result, ToolResult) and result.HasField("result"):
            self._changed(call, calls.changes(call, result.result))
        if not in_time:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_TOOL_CALL_EXPIRED, "The result came after its call was over."
            )
        self._pass_on(call, result)

    def _pass_on(self, call: Call, result: ToolResult | DataResponse) -> None:
        """The request holds it to its end, here and behind. Raises SwitchboardError (overloaded)
        where the user has no room for it: then the agent is told of that instead."""
        answer, size = self._answers.get(call.request_id), result.ByteSize()
        if not self._share.fits(size):
            error = overloaded("Your requests hold too much at once for this result.")
            self._tell(call.request_id, call.failure(word(error.code), error.message))
            raise error
        if answer is not None and answer.running:
            self._answers.grow(answer, size)
        self._tell(call.request_id, _said(result))

    def _spoiled(self, frame: ClientFrame, now: float, *, aside: bool) -> None:
        # The device may send the right answer yet: for the agent it is late, its change is not.
        result = frame.tool_result if frame.HasField("tool_result") else frame.data_response
        call, elsewhere = self._called(result)
        if elsewhere:
            self._effects.append(Pass(elsewhere, frame, spoiled=True))
        elif call is None and not (self._alone or aside):
            self._effects.append(Seek(frame, spoiled=True))
        elif call is not None and call.state is CallState.OPEN:
            self._calls.close(call, CallState.OVER, now)
            self._tell(call.request_id, _said(result))

    def _called(self, result: ToolResult | DataResponse) -> tuple[Call | None, str | None]:
        """The call that a result answers; or the request, run elsewhere, that it belongs to."""
        query = isinstance(result, DataResponse)
        id_ = result.query_id if isinstance(result, DataResponse) else result.call_id
        call = self._calls.find(id_, query=query)
        return call, None if call else self._relays.asked(id_)

    def _changed(self, call: Call, changes: Iterable[Mutation]) -> None:
        answer = self._answers.get(call.request_id)
        for change in changes:
            if answer is not None and answer.running:
                answer.mutations.append(change)
            self._fan_out(change, call.request_id)

    def _fan_out(self, change: Mutation, request_id: str | None) -> None:
        told = Mutation()
        told.CopyFrom(change)
        told.origin.CopyFrom(Origin(device_id=self.device_id, request_id=request_id))
        fit_change(told)
        self._effects.append(FanOut(told))

    # Outputs of the router.

    def _produced(self, request_id: str, outputs: Iterable[ConverseOutput], now: float) -> None:
        answer = self._answers.get(request_id)
        if answer is None:
            return
        for output in outputs:
            if not answer.running:
                return
            match output.WhichOneof("output"):
                case "routed":
                    answer.agent = output.routed.agent_name
                case "tool_call":
                    frame = ServerFrame(tool_call=output.tool_call.call)
                    frame.tool_call.request_id = request_id
                    self._ask(answer, frame, calls.tool_call(output.tool_call), now)
                case "frame":
                    self._frame(answer, output.frame, now)

    def _frame(self, answer: Answer, frame: ServerFrame, now: float) -> None:
        match frame.WhichOneof("frame"):
            case "stream_end":
                self._effects.append(Finish(answer.request_id, frame.stream_end))
                self._end(answer, frame.stream_end, now)
            case "data_request":
                frame.data_request.request_id = answer.request_id
                self._ask(answer, frame, calls.data_query(frame.data_request), now)
            case "activity" if "activity" not in self._features_for(answer):
                pass  # who reads now does not expect it
            case "stream_text" | "stream_block" | "popup_domain" | "activity" as kind:
                getattr(frame, kind).request_id = answer.request_id
                if answer.quiet:
                    self._effects.append(Collected(answer.request_id, frame))
                else:
                    answer.say(frame)
                    self._wake(answer)
                    if answer.in_vain:  # a short answer is remembered; this one may never end
                        self._end_here(answer, EndStatus.END_STATUS_FAILED, _GONE, now)

    def _ask(self, answer: Answer, frame: ServerFrame, call: Call, now: float) -> None:
        if answer.state is not State.RUNNING or call.id in self._calls:
            return
        call.request_id = answer.request_id
        if answer.abandoned:  # it never leaves, so nobody can answer it late
            self._tell(call.request_id, never_asked(call))
            return
        call.frame = frame
        self._calls.add(call)
        answer.say(frame)
        if answer.attached:
            self._calls.start(call, now)
            self._wake(answer)

    def _broken(self, request_id: str, error: Error, now: float) -> None:
        answer = self._answers.get(request_id)
        if answer is None or not answer.running:
            return
        if answer.state is State.CANCELLING:
            self._end_here(answer, EndStatus.END_STATUS_CANCELLED, _CANCELLED, now)
        else:
            self._end_here(answer, EndStatus.END_STATUS_FAILED, error, now)

    # Ends.

    def _stop(self, error: Error, now: float) -> None:
        for answer in self._answers:
            self._end_here(answer, EndStatus.END_STATUS_FAILED, error, now)

    def _erase(self, error: Error, now: float) -> None:
        self._draining = self._erased = True
        self._stop(error, now)
        for answer in self._answers:
            if not answer.ready:
                self._answers.forget(answer)

    def _end_here(
        self, answer: Answer, status: EndStatus.ValueType, error: Error, now: float
    ) -> None:
        if answer.running:
            end = StreamEnd(status=status, error=error)
            self._effects.append(Drop(answer.request_id, end))
            self._end(answer, end, now)

    def _end(self, answer: Answer, end: StreamEnd, now: float) -> None:
        answer.withdraw_calls()
        self._answers.end(answer)
        end.request_id = answer.request_id
        end.mutations.extend(answer.mutations)
        if answer.agent and not end.HasField("agent"):
            end.agent = answer.agent
        frame = ServerFrame(stream_end=end)
        if answer.quiet:
            self._effects.append(Collected(answer.request_id, frame))
        self._calls.close_all(answer.request_id, now)
        answer.say(fitted_end(frame))
        self._wake(answer)
        answer.next_step_at = now + self._limits.resume_window_s
        self._alarms.at(answer.next_step_at, Due.FORGET, answer.request_id)
        if answer.abandoned:
            self._answers.forget(answer)
        self._answers.trim()

    # Time.

    def _check(self, due: Due, key: str, now: float) -> None:
        answer = self._answers.get(key)
        match due:
            case Due.CALL:
                if call := self._calls.expired(key, now):
                    told = self._calls.give_up(call, "tool_call_expired", now)
                    self._tell(call.request_id, told)
            case Due.FORGET_CALL:
                self._calls.forget(key)
            case Due.CANCEL:
                if answer and answer.due(State.CANCELLING, now):
                    self._end_here(answer, EndStatus.END_STATUS_CANCELLED, _CANCELLED, now)
            case Due.AWAY:
                if answer and answer.away_until is not None and answer.away_until <= now:
                    if answer.quiet and answer.state is State.RUNNING and not answer.offered:
                        self._effects.append(Orphaned(key))
                    else:
                        self._abandon(answer, now)
            case Due.FORGET if answer and answer.due(State.ENDED, now):
                # A slow socket may still be owed some of it; of one that is away, AWAY decides.
                if answer.ready:
                    answer.next_step_at = now + self._limits.resume_window_s
                    self._alarms.at(answer.next_step_at, Due.FORGET, key)
                elif answer.away_until is None:
                    self._answers.forget(answer)
            case Due.FORGET:
                pass
            case _:
                assert_never(due)

    # Words.

    def _tell(self, request_id: str, told: ConverseInput) -> None:
        self._effects.append(Tell(request_id, told))

    def _wake(self, answer: Answer) -> None:
        link = self._links.get(answer.request_id)
        (link.outbox if link else self._outbox).wake(answer)

    def _features_for(self, answer: Answer) -> Collection[str]:
        """What its reader takes; with nobody there, what it asked for when there was one."""
        if link := self._links.get(answer.request_id):
            return link.features
        return self._hello.features if self._hello else FEATURES

    def _say(self, frame: ServerFrame) -> None:
        if self.connected:
            self._outbox.say(frame)


def _said(result: ToolResult | DataResponse) -> ConverseInput:
    if isinstance(result, DataResponse):
        return ConverseInput(data_response=result)
    return ConverseInput(tool_result=result)


def _surface(asked: HomeRequest | PopupRequest) -> Surface.ValueType:
    return Surface.SURFACE_HOME if isinstance(asked, HomeRequest) else Surface.SURFACE_POPUP


_GONE: Final = SwitchboardError(
    ErrorCode.ERROR_CODE_DEVICE_GONE, "The device that asked is gone."
).to_proto()
_CANCELLED: Final = SwitchboardError(
    ErrorCode.ERROR_CODE_CANCELLED, "The request was cancelled."
).to_proto()
