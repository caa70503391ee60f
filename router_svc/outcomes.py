"""PURE: how a turn ends, and what it cost."""

from dataclasses import dataclass

from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import RunEnd
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.frames_pb2 import EndStatus, Usage


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status of a `stream_end`, and why where it is no success."""

    status: EndStatus.ValueType
    error: Error | None = None

    @property
    def completed(self) -> bool:
        """Whether the answer is whole."""
        return self.status == EndStatus.END_STATUS_COMPLETED


def completed() -> Outcome:
    """The answer is whole."""
    return Outcome(EndStatus.END_STATUS_COMPLETED)


def total(one: Usage, other: Usage) -> Usage:
    """Two costs as one; an estimate in either makes an estimate."""
    both = Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        model_calls=one.model_calls + other.model_calls,
    )
    if one.estimated or other.estimated:
        both.estimated = True
    return both


def failed(code: ErrorCode.ValueType, message: str) -> Outcome:
    """It failed, for this reason."""
    return Outcome(EndStatus.END_STATUS_FAILED, SwitchboardError(code, message).to_proto())


def unavailable() -> Outcome:
    """A service behind was lost."""
    return failed(
        ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "A part of the server is not there right now."
    )


def empty() -> Outcome:
    """The model answered nothing that can be shown, and changed nothing either."""
    return failed(ErrorCode.ERROR_CODE_MODEL_EMPTY, "The model gave no answer that can be shown.")


def expired() -> Outcome:
    """The request took all the time that it may."""
    return failed(ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED, "The request took too long.")


def cancelled() -> Outcome:
    """The client stopped it."""
    error = SwitchboardError(ErrorCode.ERROR_CODE_CANCELLED, "The request was cancelled.")
    return Outcome(EndStatus.END_STATUS_CANCELLED, error.to_proto())


def of_run(end: RunEnd) -> Outcome:
    """As the agent says; a run that neither completed nor says why failed by our own fault."""
    match end.status:
        case EndStatus.END_STATUS_COMPLETED:
            return Outcome(end.status)
        case EndStatus.END_STATUS_CANCELLED:
            return cancelled()
        case _ if end.HasField("error"):
            return Outcome(EndStatus.END_STATUS_FAILED, end.error)
        case _:
            return failed(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")
