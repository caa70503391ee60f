"""PURE: values of providers read as what they should be, whatever type they came in."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import orjson

from agent_svc.events import MAX_TOKENS

DONE: Final = object()
"""What closes a stream."""

_DONE_WORDS: Final = frozenset({b"[DONE]", b'"[DONE]"', b"[done]", b"DONE"})
_decode: Final = msgspec.json.Decoder().decode


def data_of(data: bytes) -> Any:
    """What the data of an event means: a mapping or a list, or DONE; None: it is not whole.

    A value that can be no chunk, such as null or a word, is an empty mapping.
    """
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = _slowly(data)
        if value is None or value is DONE:
            return value
    return value if isinstance(value, dict | list) else {}


def _slowly(data: bytes) -> Any:
    stripped = data.strip()
    if stripped in _DONE_WORDS:
        return DONE
    if stripped.isalpha() or (stripped[:1] == b":" and b"{" not in stripped):
        return {}  # a sign of life, such as `ping`
    if stripped[:5] == b"data:" != stripped[5:10].lstrip()[:5]:
        return data_of(stripped[5:])  # a proxy's doing, which dresses what is dressed
    try:  # the fast decoder refuses NaN and half a surrogate pair, which some servers send
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return {} if value is None else value


def text_of(value: object) -> str:
    """A text, or none."""
    return value if isinstance(value, str) else ""


def text_of_id(value: object) -> str:
    """An id, which may be a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_of(value)


def text_of_arguments(arguments: object) -> str:
    """Arguments are JSON text; some send the object. What is neither stays what it is, so that
    a call is never run without the arguments that it has."""
    if isinstance(arguments, str) or arguments is None:
        return arguments or ""
    try:
        return orjson.dumps(arguments).decode()
    except (TypeError, ValueError):  # half a character, or a number past 64 bits
        return json.dumps(arguments)


def place_of(index: object) -> int | None:
    """A whole number, in whatever form it came."""
    try:
        return int(index) if isinstance(index, int | float | str) else None
    except (ValueError, OverflowError):  # no number, infinite or none at all
        return None


def tokens_of(count: object) -> int | None:
    """A count of tokens; None for one that cannot be: some providers know none and say -1."""
    try:
        counted = int(count) if isinstance(count, int | float | str) else 0
    except (ValueError, OverflowError):  # no number, infinite or none at all
        return None
    return counted if 0 <= counted <= MAX_TOKENS else None


def code_of(error: object) -> str:
    """A provider's word or number for an error; never its message, which may quote anything."""
    if isinstance(error, dict):
        for key in ("code", "type", "status", "statusCode"):
            if isinstance(value := error.get(key), str | int) and value:
                return without_surrogates(str(value)[:64])
    return "unknown"


def without_surrogates(text: str) -> str:
    """The text with halves of characters replaced: nothing else can be sent on."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
