"""The `error` frame of a frame that could not be taken (PROTOCOL §5)."""

from contextlib import suppress
from typing import Any, Final

from edge import codec
from edge.codec import UnknownType
from edge.mapping import InvalidFrame
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import Error, ErrorCode, FrameRef
from switchboard.v3.frames_pb2 import ServerFrame

REFUSALS: Final = (InvalidFrame, UnknownType, SwitchboardError)
"""What a frame can be refused with."""

_IDS: Final = ("request_id", "call_id", "query_id", "mutation_id")


def unknown_call() -> SwitchboardError:
    """A result that belongs to nothing."""
    return SwitchboardError(
        ErrorCode.ERROR_CODE_TOOL_CALL_UNKNOWN, "This server never made that call."
    )


def duplicate() -> SwitchboardError:
    """A request that runs, or is kept."""
    return SwitchboardError(ErrorCode.ERROR_CODE_DUPLICATE_REQUEST, "This request was made before.")


def refusal(error: Exception, ref: FrameRef) -> ServerFrame:
    """The error frame for one of REFUSALS."""
    match error:
        case SwitchboardError():
            found = error.to_proto()
        case UnknownType():
            code = ErrorCode.ERROR_CODE_UNKNOWN_TYPE
            found = Error(code=code, message="No frame has this type.")
        case _:
            found = Error(code=ErrorCode.ERROR_CODE_INVALID_FRAME, message=str(error))
    found.ref.CopyFrom(ref)
    return ServerFrame(error=found)


def refusal_of(error: Exception, kind: str, body: Any) -> ServerFrame:
    """The same for a frame that was understood: it names the request, where there is one."""
    ref = FrameRef(type=kind)
    for name in _IDS:
        if id_ := getattr(body, name, ""):
            ref.id = id_
            break
    frame = refusal(error, ref)
    if request_id := getattr(body, "request_id", ""):
        frame.error.request_id = request_id
    return frame


def ref_of(text: bytes) -> FrameRef:
    """Names a frame that could not be understood, as far as it can be read."""
    ref = FrameRef()
    with suppress(InvalidFrame):
        value = codec.parse(text)
        if isinstance(kind := value.get("type"), str):
            ref.type = kind[:64]
        for name in _IDS:
            if isinstance(id_ := value.get(name), str):
                ref.id = id_[:128]
                break
    return ref
