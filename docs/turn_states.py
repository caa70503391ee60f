"""The state diagram of a turn, found by walking through it: every event, in every state."""

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from router_svc import events
from router_svc.events import Event
from router_svc.routing import Verdict
from router_svc.turn import Phase, Turn
from switchboard.v3.agent_pb2 import DeviceToolCall, RunActivity, RunEnd, RunText
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.frames_pb2 import (
    DataResponse,
    EndStatus,
    MemoryStatus,
    ServerFrame,
    StreamText,
    ToolResult,
    Usage,
)
from switchboard.v3.router_pb2 import ConverseStart

_FAILED: Final = RunEnd(
    status=EndStatus.END_STATUS_FAILED, error=Error(code=ErrorCode.ERROR_CODE_MODEL_TRUNCATED)
)

EVENTS: Final[tuple[Event, ...]] = (
    events.Routed(Verdict("task_agent", 1.0, "", Usage())),
    events.Recalled(()),
    events.AgentText(RunText(text="Hi")),
    events.AgentToolCall(DeviceToolCall()),
    events.AgentActivity(RunActivity()),
    events.AgentEnd(RunEnd(status=EndStatus.END_STATUS_COMPLETED)),
    events.AgentEnd(_FAILED),
    events.AgentLost(),
    events.Formatted(ServerFrame(stream_text=StreamText(chunk="Hi"))),
    events.Flushed(),
    events.FlushLate(),
    events.FormatterEnd(),
    events.FormatterLost(),
    events.ToolAnswered(ToolResult()),
    events.DataAnswered(DataResponse()),
    events.Stored(MemoryStatus.MEMORY_STATUS_STORED),
    events.Cancelled(),
    events.DeadlinePassed(),
    events.GraceOver(),
    events.ClientLost(),
    events.Fault(),
)
"""One of each kind, and of an agent's end both."""

DEPTH: Final = 9
"""Events after which no arrow is new: an answer that is empty twice takes eight."""

_Arrows = dict[tuple[Phase, Phase], set[str]]


def arrows() -> _Arrows:
    """What leads from one phase to another: names of events."""
    found: _Arrows = defaultdict(set)
    seen: set[str] = set()
    edge = [_begun()]
    for _ in range(DEPTH):
        edge = [after for turn in edge for after in _steps(turn, found) if _is_new(after, seen)]
    return found


def _begun() -> Turn:
    turn = Turn("request", ConverseStart(), Usage())
    turn.begin()
    return turn


def _steps(turn: Turn, found: _Arrows) -> Iterator[Turn]:
    for event in EVENTS:
        after = copy.deepcopy(turn)
        after.feed(event)
        if after.phase is not turn.phase:
            found[turn.phase, after.phase].add(type(event).__name__)
        yield after


def _is_new(turn: Turn, seen: set[str]) -> bool:
    """Whether a turn in this state was not walked through yet; how much was said tells nothing."""
    state = {name: value for name, value in vars(turn).items() if name in _TELLING}
    key = repr(sorted(state.items()))
    if turn.phase is Phase.OVER or key in seen:
        return False
    seen.add(key)
    return True


_TELLING: Final = frozenset(
    {"_phase", "_memory_known", "_shown", "_changed", "_asked_again", "_outcome", "_waiting"}
)


def diagram() -> str:
    """The diagram in Mermaid. What ends a turn in any phase is said once."""
    found = arrows()
    ends = [found[phase, Phase.OVER] for phase in Phase if phase is not Phase.OVER]
    anywhere = set.intersection(*ends)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.ROUTING.name}"]
    for (source, target), names in sorted(found.items(), key=_in_order):
        if told := sorted(names - anywhere if target is Phase.OVER else names):
            lines.append(f"    {source.name} --> {_named(target)}: {', '.join(told)}")
    note = f"In every state: {' and '.join(sorted(anywhere))} end it"
    lines.append(f"    note right of {Phase.ROUTING.name}: {note}")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def _in_order(arrow: tuple[tuple[Phase, Phase], set[str]]) -> tuple[int, int]:
    order = list(Phase)
    (source, target), _ = arrow
    return order.index(source), order.index(target)


def _named(phase: Phase) -> str:
    return "[*]" if phase is Phase.OVER else phase.name
