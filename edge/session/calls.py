"""What devices are asked while an answer is made: tool calls and data queries, their
clocks, and the changes that their results report (PROTOCOL §4.6, §4.10).

A call's clock runs while its request has a reader and stands still while it has none.
A call that is over is remembered for a while: a result that comes late still tells of
a change.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson

from edge.session.requests import numbered
from edge.session.timers import Alarms, Due
from switchboard.v3.agent_pb2 import DeviceToolCall
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import (
    DataRequest,
    DataResponse,
    Mutation,
    MutationOp,
    ServerFrame,
    ToolError,
    ToolResult,
)
from switchboard.v3.router_pb2 import ConverseInput
from switchboard.v3.values_pb2 import Json

CALL_S: Final = 30.0
"""How long a device has for a call or a query, in seconds."""

APPROVAL_S: Final = 300.0
"""How long it has where the user must agree first."""

LATE_S: Final = 600.0
"""How long a call that is over is remembered, in seconds: twice the longest deadline."""

CALL_BYTES: Final = 512
"""What a call takes that is remembered, with its alarm."""


class CallState(Enum):
    """Where a call stands."""

    OPEN = auto()  # the agent waits for it
    OVER = auto()  # the agent does not wait any more, and no result came
    ANSWERED = auto()


@dataclass(slots=True, eq=False)
class Call:
    """One tool call, or one data query. Times in seconds."""

    id: str
    request_id: str
    query: bool
    entity: EntityKind.ValueType
    effect: MutationOp.ValueType | None
    left: float
    expires: float | None = None  # None: the clock stands
    state: CallState = CallState.OPEN
    frame: ServerFrame | None = None  # what asked for it, while it is open

    @property
    def kept_bytes(self) -> int:
        """What it takes of memory."""
        return CALL_BYTES + (self.frame.ByteSize() if self.frame else 0)

    def start(self, now: float) -> None:
        """Lets the clock run."""
        if self.expires is None:
            self.expires = now + self.left

    def pause(self, now: float) -> None:
        """Stops the clock."""
        if self.expires is not None:
            self.left, self.expires = max(0.0, self.expires - now), None

    def left_ms(self, now: float) -> int:
        """What remains to answer, in milliseconds; 0 once it is over."""
        if self.state is not CallState.OPEN:
            return 0
        left = self.left if self.expires is None else self.expires - now
        return max(0, round(left * 1000))

    @property
    def may_be_done(self) -> bool:
        """Whether the device may have made a change already: it has the call."""
        return self.effect is not None and self.frame is not None and numbered(self.frame) > 0

    def failure(self, code: str, message: str) -> ConverseInput:
        """Tells the router that no result will come."""
        error = ToolError(code=code, message=message)
        if self.query:
            return ConverseInput(data_response=DataResponse(query_id=self.id, error=error))
        return ConverseInput(tool_result=ToolResult(call_id=self.id, error=error))


def tool_call(asked: DeviceToolCall) -> Call:
    """The record of a tool call."""
    return Call(
        id=asked.call.call_id,
        request_id=asked.call.request_id,
        query=False,
        entity=asked.entity,
        effect=asked.effect if asked.HasField("effect") else None,
        left=APPROVAL_S if asked.call.requires_approval else CALL_S,
    )


def data_query(asked: DataRequest) -> Call:
    """The record of a data query."""
    return Call(
        id=asked.query_id,
        request_id=asked.request_id,
        query=True,
        entity=asked.entity,
        effect=None,
        left=CALL_S,
    )


def changes(call: Call, result: Json) -> Iterator[Mutation]:
    """The changes that a writing tool's result reports, one for each entity.

    A result of another shape than the catalogue's reports none.
    """
    if call.effect is None:
        return
    value = orjson.loads(result.utf8)
    if not isinstance(value, dict):
        return
    if call.effect == MutationOp.MUTATION_OP_DELETE and isinstance(value.get("id"), str):
        yield _change(call, call.id, value["id"], None)
        return
    # What a delete lists beside may be what is left: it deletes the one that it names.
    several = isinstance(value.get("items"), list) and call.effect != MutationOp.MUTATION_OP_DELETE
    items = value["items"] if several else [value.get("item")]
    found = [item for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)]
    for item in found:
        many = len(found) > 1
        yield _change(call, _part(call.id, item["id"]) if many else call.id, item["id"], item)


def _part(call_id: str, entity_id: str) -> str:
    try:
        namespace = UUID(call_id)
    except ValueError:
        namespace = uuid5(NAMESPACE_OID, call_id)
    return str(uuid5(namespace, entity_id))


def _change(call: Call, mutation_id: str, entity_id: str, item: dict[str, Any] | None) -> Mutation:
    effect = call.effect or MutationOp.MUTATION_OP_UNSPECIFIED
    change = Mutation(mutation_id=mutation_id, op=effect, entity=call.entity, id=entity_id)
    if item is not None and effect != MutationOp.MUTATION_OP_DELETE:
        change.data.utf8 = orjson.dumps(item)
    return change


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
