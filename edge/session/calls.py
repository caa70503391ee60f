"""What devices are asked while an answer is made: tool calls and data queries, their
clocks, and the changes that their results report (PROTOCOL §4.6, §4.10).

A call's clock runs while its request has a reader and stands still while it has none.
A call that is over is remembered for a while: a result that comes late still tells of
a change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson

from edge.session.answer import numbered
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
