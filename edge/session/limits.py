"""What a client has to keep to, and the checks of it (PROTOCOL §3, §5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from unicodedata import category

from edge.wire.json_mapping import InvalidFrame
from runtime import quoting
from runtime.errors import SwitchboardError
from switchboard.v3 import frames_pb2
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import DeviceHello, HomeRequest, Mutation, PopupRequest, Quoted

PROTOCOL: Final = 3
"""The protocol version that this server speaks."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_MAX_ID: Final = 128
_REFUSED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, surrogates, separators of lines and of paragraphs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes or characters (code points), times in seconds."""

    max_frame_bytes: int = 1024 * 1024
    max_message_chars: int = 32_000
    max_history_messages: int = 200
    max_history_chars: int = 200_000
    max_concurrent_requests: int = 8
    resume_window_s: float = 60
    # What one request keeps for a device that may come back.
    journal_bytes: int = 1024 * 1024
    # What all answers that have ended may keep beside each other.
    kept_bytes: int = 4 * 1024 * 1024
    # Past this, what waits for a device stops the reading of its request…
    soft_bytes: int = 256 * 1024
    # … and past this, its socket is closed.
    hard_bytes: int = 4 * 1024 * 1024
    # The router answers a cancel within 0.7 s; past this the edge does it itself.
    cancel_s: float = 0.9

    def to_proto(self) -> frames_pb2.Limits:
        """The limits as `device_ready` tells them."""
        return frames_pb2.Limits(
            max_frame_bytes=self.max_frame_bytes,
            max_message_chars=self.max_message_chars,
            max_history_messages=self.max_history_messages,
            max_history_chars=self.max_history_chars,
            max_concurrent_requests=self.max_concurrent_requests,
            resume_window_s=round(self.resume_window_s),
        )


def check_hello(hello: DeviceHello) -> None:
    """Raises InvalidFrame, or SwitchboardError for a protocol that is not spoken."""
    _check_id("device_id", hello.device_id)
    if hello.HasField("protocol") and hello.protocol != PROTOCOL:
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_UNSUPPORTED_PROTOCOL, f"This server speaks protocol {PROTOCOL}."
        )


def check_request(request: HomeRequest | PopupRequest, limits: Limits) -> None:
    """Raises InvalidFrame, or SwitchboardError for a message or a history that is too long."""
    if request.HasField("request_id") and not _UUID.match(request.request_id):
        raise InvalidFrame("request_id", "is no UUID")
    if request.HasField("session_id"):
        _check_id("session_id", request.session_id)
    if isinstance(request, PopupRequest):
        _check_id("scope.type", request.scope.type)
        if request.scope.HasField("id"):
            _check_id("scope.id", request.scope.id)
    if len(request.message) > limits.max_message_chars:
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_MESSAGE_TOO_LONG,
            f"A message may have {limits.max_message_chars} characters.",
        )
    history = request.conversation_history
    if (
        len(history) > limits.max_history_messages
        or sum(len(said.content) for said in history) > limits.max_history_chars
    ):
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_HISTORY_TOO_LONG,
            f"A history may have {limits.max_history_messages} messages"
            f" and {limits.max_history_chars} characters.",
        )
    _check_quoted("quoted", request.message, request.quoted)
    for place, said in enumerate(history):
        if said.quoted:
            _check_quoted(f"conversation_history[{place}].quoted", said.content, said.quoted)


def _check_quoted(field: str, text: str, spans: Sequence[Quoted]) -> None:
    """What a span means that reaches past its message is not ours to guess: a client that counts
    otherwise than we do would have other words taken for quoted than it meant."""
    last = quoting.units(text) if spans else 0
    for place, span in enumerate(spans):
        if span.end > last:
            raise InvalidFrame(f"{field}[{place}].end", "lies past the end of the message")
        if span.start > span.end:
            raise InvalidFrame(f"{field}[{place}].start", "lies past its end")


def check_mutation(mutation: Mutation) -> None:
    """Raises InvalidFrame where an id is empty or too long."""
    _check_id("mutation_id", mutation.mutation_id)
    _check_id("id", mutation.id)


def _check_id(name: str, value: str) -> None:
    # A NUL is no text to the database, a line break makes two lines of a log, and half of a
    # pair of surrogates has no UTF-8. Any other character may be in a name that people give.
    if not 0 < len(value) <= _MAX_ID or not _REFUSED.isdisjoint(map(category, value)):
        raise InvalidFrame(name, f"must have 1 to {_MAX_ID} characters, none of them for control")
