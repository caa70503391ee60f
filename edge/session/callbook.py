"""The calls of one session: whose clock runs, which are over, which are remembered."""

from dataclasses import replace

from edge.session.answer import numbered
from edge.session.calls import LATE_S, Call, CallState
from edge.session.timers import Alarms, Due
from switchboard.v3.frames_pb2 import ServerFrame
from switchboard.v3.router_pb2 import ConverseInput

_WHY = {
    "device_gone": "The device is not connected.",
    "tool_call_expired": "The device did not answer in time.",
}


def never_asked(call: Call) -> ConverseInput:
    """What the router is told of a call that no device is there for."""
    return call.failure("device_gone", _WHY["device_gone"])


class CallBook:
    """Every call that a result may still come for, by its id."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._calls: dict[str, Call] = {}

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._calls

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def kept_bytes(self) -> int:
        """What they take of memory, with what asked for those that are open."""
        return sum(call.kept_bytes for call in self._calls.values())

    def add(self, call: Call) -> None:
        """Notes a call; its clock stands."""
        self._calls[call.id] = call

    def find(self, call_id: str, *, query: bool) -> Call | None:
        """The call or the query of this id."""
        call = self._calls.get(call_id)
        return call if call is not None and call.query is query else None

    def start(self, call: Call, now: float) -> None:
        """Lets its clock run."""
        call.start(now)
        self._alarms.at(now + call.left, Due.CALL, call.id)

    def start_all(self, request_id: str, now: float) -> None:
        """The request has a reader (again)."""
        for call in self.open(request_id):
            self.start(call, now)

    def pause_all(self, request_id: str, now: float) -> None:
        """The request has no reader for now."""
        for call in self.open(request_id):
            call.pause(now)

    def open(self, request_id: str) -> list[Call]:
        """The calls of a request that the agent waits for."""
        return [
            call
            for call in self._calls.values()
            if call.request_id == request_id and call.state is CallState.OPEN
        ]

    def pending(self, request_id: str, seq: int) -> list[ServerFrame]:
        """The frames up to `seq` that asked for what is still waited for, in order."""
        frames = (call.frame for call in self.open(request_id))
        return [frame for frame in frames if frame and 0 < numbered(frame) <= seq]

    def give_away(self, request_id: str, now: float) -> list[Call]:
        """The open calls, for another device; here they are over, and a late result is late."""
        given = [replace(call) for call in self.open(request_id)]
        self.close_all(request_id, now)
        return given

    def close(self, call: Call, state: CallState, now: float) -> None:
        """It is over: answered, or not waited for any more."""
        call.pause(now)
        if call.state is CallState.OPEN:
            self._alarms.at(now + LATE_S, Due.FORGET_CALL, call.id)
        call.state = state
        call.frame = None

    def close_all(self, request_id: str, now: float) -> None:
        """The agent waits for none of them any more."""
        for call in self.open(request_id):
            self.close(call, CallState.OVER, now)

    def give_up(self, call: Call, code: str, now: float) -> ConverseInput:
        """No result is waited for any more; returns what the router is told."""
        self.close(call, CallState.OVER, now)
        return call.failure(code, _WHY[code])

    def expired(self, call_id: str, now: float) -> Call | None:
        """The call whose alarm rang, if its time is really up."""
        call = self._calls.get(call_id)
        up = call is not None and call.expires is not None and call.expires <= now
        return call if up else None

    def forget(self, call_id: str) -> None:
        """Of one that is over: a result of it would be unknown from now on."""
        if (call := self._calls.get(call_id)) and call.state is not CallState.OPEN:
            del self._calls[call_id]

    def set_deadline(self, frame: ServerFrame, now: float) -> None:
        """What remains to answer, as the frame is sent."""
        if frame.HasField("tool_call"):
            call = self._calls.get(frame.tool_call.call_id)
            frame.tool_call.deadline_ms = call.left_ms(now) if call else 0
        elif frame.HasField("data_request"):
            call = self._calls.get(frame.data_request.query_id)
            frame.data_request.deadline_ms = call.left_ms(now) if call else 0
