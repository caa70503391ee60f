"""One error type, and the two tables of it: domain → wire and wire → domain.

The facts of a code (retryable, HTTP and gRPC status) stand in errors.proto.
"""

import logging
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from switchboard.v3 import errors_pb2
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

DOMAIN: Final = "switchboard"
_PREFIX: Final = "ERROR_CODE_"


class SwitchboardError(Exception):
    """Something that the caller is told of: a code of the closed list and a line for people.

    `message` must hold no secret, address or user text. `retry_after_ms` in milliseconds.
    """

    def __init__(
        self, code: ErrorCode.ValueType, message: str, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms

    def __repr__(self) -> str:
        return f"SwitchboardError({word(self.code)}: {self.message})"

    @property
    def retryable(self) -> bool:
        """Whether asking again may help."""
        return spec(self.code).retryable

    def to_proto(self) -> errors_pb2.Error:
        """The error as it stands in frames."""
        error = errors_pb2.Error(code=self.code, message=self.message, retryable=self.retryable)
        if self.retry_after_ms is not None:
            error.retry_after_ms = self.retry_after_ms
        return error

    def to_status(self) -> status_pb2.Status:
        """The error as it travels between services: google.rpc.Status with ErrorInfo."""
        info = error_details_pb2.ErrorInfo(reason=_name(self.code), domain=DOMAIN)
        if self.retry_after_ms is not None:
            info.metadata["retry_after_ms"] = str(self.retry_after_ms)
        packed = any_pb2.Any()
        packed.Pack(info)
        return status_pb2.Status(
            code=spec(self.code).grpc_code, message=self.message, details=[packed]
        )


def word(code: ErrorCode.ValueType) -> str:
    """The code as the wire spells it, such as `invalid_frame`."""
    return _name(code).lower()


def spec(code: ErrorCode.ValueType) -> errors_pb2.ErrorSpec:
    """What holds for every error of this code."""
    value = ErrorCode.DESCRIPTOR.values_by_number[code]
    return value.GetOptions().Extensions[errors_pb2.error]


def _name(code: ErrorCode.ValueType) -> str:
    return ErrorCode.Name(code).removeprefix(_PREFIX)


# What a status means that carries no ErrorInfo of ours: no service raised it, a gRPC library made
# it. A peer that is killed is told of as any of the first six, by where the stream was just then.
_LOST: Final = (
    ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE,
    "A part of the server is not there right now.",
)
_BY_STATUS: Final[dict[int, tuple[ErrorCode.ValueType, str]]] = {
    code_pb2.UNAVAILABLE: _LOST,
    code_pb2.UNKNOWN: _LOST,
    code_pb2.INTERNAL: _LOST,
    code_pb2.CANCELLED: _LOST,  # by the peer: our own cancelling raises CancelledError
    code_pb2.ABORTED: _LOST,
    code_pb2.DATA_LOSS: _LOST,
    code_pb2.DEADLINE_EXCEEDED: (ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED, "It took too long."),
    code_pb2.RESOURCE_EXHAUSTED: (
        ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE,
        "A part of the server is too busy right now.",
    ),
}


def from_rpc(error: grpc.aio.AioRpcError) -> SwitchboardError:
    """The error that a peer meant; of a foreign one, what its status says and no more."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # reads what both have
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            code = ErrorCode.DESCRIPTOR.values_by_name.get(_PREFIX + info.reason)
            if code is not None:  # a newer peer may know more of them
                retry = info.metadata.get("retry_after_ms")
                return SwitchboardError(
                    ErrorCode.ValueType(code.number), status.message, int(retry) if retry else None
                )
    known = _BY_STATUS.get(error.code().value[0])
    if known is None:
        log.warning("a call ended with %s, and no error of ours", error.code().name)
        known = ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own."
    return SwitchboardError(*known)
