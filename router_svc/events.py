"""PURE: the vocabulary of a turn: what may happen (events) and what is to be done (commands)."""

from dataclasses import dataclass
from enum import Enum, auto

from router_svc.routing import Verdict
from switchboard.v3.agent_pb2 import DeviceToolCall, RunActivity, RunEnd, RunInput, RunText
from switchboard.v3.formatter_pb2 import FormatInput
from switchboard.v3.frames_pb2 import (
    DataResponse,
    MemoryStatus,
    ServerFrame,
    SkippedBlock,
    ToolResult,
)
from switchboard.v3.memory_pb2 import MemoryItem, StoreEpisodeRequest
from switchboard.v3.router_pb2 import ConverseOutput

# --- events -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Routed:
    """The agent is chosen."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is remembered; None: memory is slow or down, and the answer does without."""

    items: tuple[MemoryItem, ...] | None


@dataclass(frozen=True, slots=True)
class AgentText:
    """A piece of the model's answer."""

    text: RunText


@dataclass(frozen=True, slots=True)
class AgentToolCall:
    """A tool for the device."""

    call: DeviceToolCall


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """What the agent does now."""

    activity: RunActivity


@dataclass(frozen=True, slots=True)
class AgentEnd:
    """The agent is done, in one way or another."""

    end: RunEnd


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent's stream broke, or ended without its `end`."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """A frame made of the answer."""

    frame: ServerFrame


@dataclass(frozen=True, slots=True)
class Flushed:
    """All that the agent said so far is formatted; which blocks were left out of it."""

    skipped: tuple[SkippedBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class FormatterEnd:
    """All of the answer is formatted; which blocks were left out of it."""

    skipped: tuple[SkippedBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class FormatterLost:
    """The formatter's stream broke, or ended without its `end`."""


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """The device's answer to a tool call."""

    result: ToolResult


@dataclass(frozen=True, slots=True)
class DataAnswered:
    """The device's answer to a data request."""

    response: DataResponse


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the exchange's memory."""

    status: MemoryStatus.ValueType


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The client asks to stop."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The request took all the time that it may."""


@dataclass(frozen=True, slots=True)
class GraceOver:
    """A stopped agent had its time to say what it spent."""


@dataclass(frozen=True, slots=True)
class FlushLate:
    """A formatter had its time to answer a flush; one of an older release does not know it."""


@dataclass(frozen=True, slots=True)
class ClientLost:
    """The client's stream broke, or ended before the turn did."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something failed that cannot fail: a bug of our own."""


Event = (
    Routed
    | Recalled
    | AgentText
    | AgentToolCall
    | AgentActivity
    | AgentEnd
    | AgentLost
    | Formatted
    | Flushed
    | FormatterEnd
    | FormatterLost
    | ToolAnswered
    | DataAnswered
    | Stored
    | Cancelled
    | DeadlinePassed
    | GraceOver
    | FlushLate
    | ClientLost
    | Fault
)

# --- commands ---------------------------------------------------------------------


class Timer(Enum):
    """The clocks of a turn."""

    DEADLINE = auto()
    """Ends with `DeadlinePassed`."""
    GRACE = auto()
    """Ends with `GraceOver`."""
    FLUSH = auto()
    """Ends with `FlushLate`."""


@dataclass(frozen=True, slots=True)
class Classify:
    """Choose the agent; answered by `Routed`."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask memory; answered by `Recalled`."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start a clock."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class OpenFormatter:
    """Open a stream to the formatter."""


@dataclass(frozen=True, slots=True)
class OpenAgent:
    """Open a stream to the agent."""


@dataclass(frozen=True, slots=True)
class SendFormatter:
    """Goes to the formatter."""

    input: FormatInput


@dataclass(frozen=True, slots=True)
class SendAgent:
    """Goes to the agent."""

    input: RunInput


@dataclass(frozen=True, slots=True)
class Emit:
    """Goes to the client."""

    output: ConverseOutput


@dataclass(frozen=True, slots=True)
class Store:
    """Keep the exchange; answered by `Stored`: in good time with `wait`, else at once."""

    episode: StoreEpisodeRequest
    wait: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """It is over: let everything go that the turn holds."""


Command = (
    Classify
    | Recall
    | StartTimer
    | OpenFormatter
    | OpenAgent
    | SendFormatter
    | SendAgent
    | Emit
    | Store
    | Finish
)
