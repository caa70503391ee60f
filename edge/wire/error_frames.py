"""The `error` frame of a frame that could not be taken (PROTOCOL §5)."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from edge.wire import codec
from edge.wire.codec import UnknownType
from edge.wire.json_mapping import InvalidFrame
from runtime.errors import SwitchboardError, word
from switchboard.v3.errors_pb2 import Error, ErrorCode, FrameRef
from switchboard.v3.frames_pb2 import (
    ClientFrame,
    DataResponse,
    ServerFrame,
    ToolError,
    ToolResult,
)

REFUSALS: Final = (InvalidFrame, UnknownType, SwitchboardError)
"""What a frame can be refused with."""

_IDS: Final = ("request_id", "call_id", "query_id", "mutation_id")
_OWN_ID: Final = {"tool_result": "call_id", "data_response": "query_id", "mutation": "mutation_id"}
"""Whose own id is no request_id, whatever else such a frame may hold."""

_REQUESTS: Final = ("home_request", "popup_request")

_MOST: Final = 128
"""So much of an id, or of a type, is said again: no id of ours is longer, in characters."""


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
    """The same for a frame that was understood."""
    return _naming(error, kind, {name: getattr(body, name, "") for name in _IDS})


def refusal_unread(error: Exception, text: bytes | str) -> ServerFrame:
    """The same for one that was not: it is named as far as it can be read."""
    found = codec.names(text)
    return _naming(error, found.get("type", ""), found)


def spoiled(error: Exception, refused: ServerFrame) -> ClientFrame | None:
    """What stands for a result that was refused for its form, so that nobody waits for it."""
    kind, id_ = refused.error.ref.type, refused.error.ref.id
    if not isinstance(error, InvalidFrame) or not id_:
        return None
    why = ToolError(code="invalid_result", message=f"The device's answer is invalid: {error}.")
    match kind:
        case "tool_result":
            return ClientFrame(tool_result=ToolResult(call_id=id_, error=why))
        case "data_response":
            return ClientFrame(data_response=DataResponse(query_id=id_, error=why))
    return None


def close_reason(error: SwitchboardError) -> bytes:
    """The reason of a close that is an error: JSON, so that a script can read the wait."""
    told: dict[str, Any] = {"code": word(error.code)}
    if error.retry_after_ms is not None:
        told["retry_after_ms"] = error.retry_after_ms
    return orjson.dumps(told)


def _naming(error: Exception, kind: str, names: Mapping[str, str]) -> ServerFrame:
    """Names the frame; a request besides at the top: it never began, and is over."""
    ref = FrameRef(type=kind[:_MOST])
    wanted = (_OWN_ID[kind],) if kind in _OWN_ID else _IDS
    if id_ := next((names[name] for name in wanted if names.get(name)), ""):
        ref.id = id_[:_MOST]
    frame = refusal(error, ref)
    if kind in _REQUESTS and (request_id := names.get("request_id")):
        frame.error.request_id = request_id[:_MOST]
    return frame
