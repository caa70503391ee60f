"""Frames ⇄ the text of the socket: one JSON object a frame, `type` and the fields
of its message side by side (PROTOCOL §1–3).

The frames that come by the thousand have a mapping written by hand: 1.4 µs for a
`stream_text`, 1.7 by the plans of edge/wire/json_mapping.py that do all others, 38 by ProtoJSON.
Tests hold them against each other.
"""

import json
import re
from collections.abc import Callable, Generator
from itertools import islice
from typing import Any, Final, TypeVar

import orjson

from edge.wire.json_mapping import InvalidFrame, from_json, json_value, raw, to_json
from runtime import enums
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.frames_pb2 import (
    ClientFrame,
    Domain,
    Ping,
    ServerFrame,
    ToolResult,
)

Frame = TypeVar("Frame", ClientFrame, ServerFrame)
T = TypeVar("T")

MAX_FRAME_BYTES: Final = 1024 * 1024
"""The largest frame in either direction, in bytes of UTF-8."""

MAX_VALUES: Final = 32_768
"""So many values may stand in one JSON: a MiB of `[],[],…` would take 0.1 s to parse."""


class UnknownType(ValueError):
    """A well-formed frame of a type that is not in the contract."""


def encode(frame: ClientFrame | ServerFrame) -> bytes:
    """The text of a frame, UTF-8. Raises ValueError for one that holds nothing."""
    kind = frame.WhichOneof("frame")
    if kind is None:
        raise ValueError("a frame that holds nothing")
    body = getattr(frame, kind)
    if isinstance(frame, ServerFrame) and (write := _WRITE.get(kind)):
        return orjson.dumps(write(body))
    return orjson.dumps({"type": kind, **to_json(body)})


Steps = Generator[None, None, T]
"""Work that may pause after each of its steps: of a MiB one takes up to 10 ms."""


def decode(text: bytes | str, cls: type[Frame]) -> Frame:
    """The frame that a text holds. Raises InvalidFrame or UnknownType."""
    return all_of(decoding(text, cls))


def parse(text: bytes | str) -> dict[str, Any]:
    """The JSON object that a text holds. Raises InvalidFrame.

    A lone surrogate counts as U+FFFD. NaN, numbers past a double, nesting past orjson's
    1,024, more than MAX_VALUES and keys that stand twice (two readers could take different
    ones) are refused.
    """
    return all_of(parsing(text))


def all_of(steps: Steps[T]) -> T:
    """Does all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def decoding(text: bytes | str, cls: type[Frame]) -> Steps[Frame]:
    """`decode` in steps."""
    value = yield from parsing(text)
    yield
    return frame_of(value, cls)


def parsing(text: bytes | str) -> Steps[dict[str, Any]]:
    """`parse` in steps."""
    _check_brackets(text)
    yield
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            text = _without_halves(text)
            value = orjson.loads(text)
        except ValueError:
            raise InvalidFrame("", "is no JSON") from None
    if not isinstance(value, dict):
        raise InvalidFrame("", "is no object")
    _check_values(value)
    yield
    _check_keys(text)
    return value


# A string without its end reaches to the end of the text, as in _TOKEN.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def _check_brackets(text: bytes | str, also: bytes = b"") -> None:
    """Raises InvalidFrame before a parser makes an object for each of too many brackets, and of
    whatever stands before one of `also`.

    Brackets cost orjson 60 ms a MiB; numbers and strings, which are counted after it, 6 at most.
    """
    utf8 = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    counted = b"[{" + also
    # Those in strings count for nothing, but to leave them out takes up to 15 ms a MiB.
    if _many(utf8, counted) and _many(_STRING.sub(b"", utf8), counted):
        raise _too_many()


def _many(utf8: bytes, counted: bytes) -> bool:
    return sum(utf8.count(one) for one in counted) > MAX_VALUES


def _check_values(value: Any) -> None:
    """Raises InvalidFrame for more than MAX_VALUES, before anything is done for each."""
    count, waiting = 1, [value]
    while waiting:
        outer = waiting.pop()
        count += len(outer)
        if count > MAX_VALUES:
            raise _too_many()
        inside = outer.values() if isinstance(outer, dict) else outer
        waiting += [each for each in inside if isinstance(each, dict | list)]


def _too_many() -> InvalidFrame:
    return InvalidFrame("", f"holds more than {MAX_VALUES} values")


_HALF: Final = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")


def _without_halves(text: bytes | str) -> str:
    """The text with U+FFFD for each surrogate that stands alone, escaped or as it is.

    Languages whose strings are UTF-16 cut pairs in two, and one such character is no reason
    to refuse all that stands around it. The standard parser takes them; keys that stand twice
    are looked for here, since what it makes has them once. Raises ValueError for what is no JSON.
    """
    whole = text if isinstance(text, str) else text.decode("utf-8", "surrogatepass")
    _check_brackets(whole, also=b",")
    _check_keys(whole)
    spelt = _HALF.sub(
        "\N{REPLACEMENT CHARACTER}", json.dumps(json.loads(whole), ensure_ascii=False)
    )
    # What is left are pairs, where the halves of one came apart in their bytes.
    return spelt.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


_NAME_CHARS: Final = 64 * 1024
"""So much of the head of a text that was refused is looked at: it costs 1 ms, not 20."""

_LAST_CHARS: Final = 2 * 1024
"""And so much of the end of what is longer: the plain fields that stand last."""

_NAME_TOKENS: Final = 4096
"""So many strings and brackets of a text that is no JSON are looked at."""

# A string without its end reaches to the end of the text: else it would be tried again
# from each quote in it.
_TOKEN: Final = re.compile(
    r'"(?P<string>[^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)(?P<key>\s*:)?|[{}\[\]]', re.DOTALL
)

_LAST_FIELDS: Final = re.compile(
    r',(?P<fields>\s*"\w{1,32}"\s*:\s*(?:"[^"\\]*+"|[\w.+-]++)'
    r'(?:\s*,\s*"\w{1,32}"\s*:\s*(?:"[^"\\]*+"|[\w.+-]++))*+\s*\})\s*\Z'
)


def names(text: bytes | str) -> dict[str, str]:
    """The strings that stand at the top of a frame that was refused, as far as it can be read.

    For telling whose frame it was, so a text that is no JSON is read, too: one with NaN in
    it, or with its end cut off. Of a large one its head and its end are, since refusing must
    cost less than reading.
    """
    if len(text) > _NAME_CHARS:
        head, last = _text(text[:_NAME_CHARS]), _text(text[-_LAST_CHARS:])
        return _last_fields(last) | _scanned(head)
    try:
        value = orjson.loads(text)
    except ValueError:
        return _scanned(_text(text))
    items = value.items() if isinstance(value, dict) else ()
    return {name: found for name, found in items if isinstance(found, str)}


def _text(text: bytes | str) -> str:
    return text if isinstance(text, str) else text.decode(errors="replace")


def _last_fields(end: str) -> dict[str, str]:
    found = _LAST_FIELDS.search(end)
    try:
        value = orjson.loads("{" + found["fields"]) if found else {}
    except orjson.JSONDecodeError:
        return {}
    return {name: said for name, said in value.items() if isinstance(said, str)}


def _scanned(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    depth, key = 0, ""
    for token in islice(_TOKEN.finditer(text), _NAME_TOKENS):
        if token[0] in "{[":
            depth, key = depth + 1, ""
        elif token[0] in "}]":
            depth, key = depth - 1, ""
        elif depth == 1 and token["key"]:
            key = token["string"]
        elif depth == 1 and key:
            found.setdefault(key, token["string"])
            key = ""
    return found


def frame_of(value: dict[str, Any], cls: type[Frame]) -> Frame:
    """The frame that a parsed object stands for. Raises InvalidFrame or UnknownType."""
    kind = value.get("type")
    if not isinstance(kind, str):
        raise InvalidFrame("type", "is missing" if kind is None else "is no string")
    if cls is ClientFrame and (read := _READ.get(kind)):
        return cls(**{kind: read(value)})
    field = cls.DESCRIPTOR.fields_by_name.get(kind)
    if field is None:
        raise UnknownType
    body = from_json(field.message_type, value)
    if check := _CHECK.get(kind):
        check(value)
    return cls(**{kind: body})


class _Twice(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Twice


# orjson takes the last of two like keys in silence. The second pass costs 6 µs on a
# small frame and 20 ms on one of 1 MiB.
_PAIRS: Final = json.JSONDecoder(object_pairs_hook=_unique)


def _check_keys(text: bytes | str) -> None:
    try:
        _PAIRS.decode(text if isinstance(text, str) else text.decode())
    except _Twice:
        raise InvalidFrame("", "holds a key twice") from None
    except (RecursionError, ValueError):
        # The standard parser gives up on depth before orjson does.
        raise InvalidFrame("", "is nested too deeply") from None


# What the messages cannot say: which JSON a `Json` holds.


def _object(name: str) -> Callable[[dict[str, Any]], None]:
    def check(value: dict[str, Any]) -> None:
        if not isinstance(value.get(name), dict | None):
            raise InvalidFrame(name, "is no object")

    return check


def _objects(name: str) -> Callable[[dict[str, Any]], None]:
    def check(value: dict[str, Any]) -> None:
        items = value.get(name)
        if items is not None and not (
            isinstance(items, list) and all(isinstance(item, dict) for item in items)
        ):
            raise InvalidFrame(name, "is no list of objects")

    return check


_CHECK: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "data_response": _objects("items"),
    "mutation": _object("data"),
    "stream_block": _object("data"),
    "tool_call": _object("arguments"),
}


# Written by hand: the server's hot frames, and the client's.

_DOMAINS: Final = enums.words(Domain.DESCRIPTOR)
_BLOCKS: Final = enums.words(BlockType.DESCRIPTOR)


def _stream_text(m: Any) -> dict[str, Any]:
    return {"type": "stream_text", "request_id": m.request_id, "seq": m.seq, "chunk": m.chunk}


def _stream_start(m: Any) -> dict[str, Any]:
    return {"type": "stream_start", "request_id": m.request_id, "seq": m.seq}


def _popup_domain(m: Any) -> dict[str, Any]:
    return {
        "type": "popup_domain",
        "request_id": m.request_id,
        "seq": m.seq,
        "domain": _DOMAINS.get(m.domain, m.domain),
    }


def _stream_block(m: Any) -> dict[str, Any]:
    found = {
        "type": "stream_block",
        "request_id": m.request_id,
        "seq": m.seq,
        "block_type": _BLOCKS.get(m.block_type, m.block_type),
    }
    if m.HasField("data"):
        found["data"] = raw(m.data)
    return found


def _tool_call(m: Any) -> dict[str, Any]:
    found = {
        "type": "tool_call",
        "request_id": m.request_id,
        "seq": m.seq,
        "call_id": m.call_id,
        "name": m.name,
    }
    if m.HasField("arguments"):
        found["arguments"] = raw(m.arguments)
    found["deadline_ms"] = m.deadline_ms
    found["requires_approval"] = m.requires_approval
    if m.HasField("untrusted"):
        found["untrusted"] = m.untrusted
    return found


def _pong(m: Any) -> dict[str, Any]:
    return {"type": "pong", "nonce": m.nonce} if m.HasField("nonce") else {"type": "pong"}


_WRITE: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "stream_text": _stream_text,
    "stream_start": _stream_start,
    "popup_domain": _popup_domain,
    "stream_block": _stream_block,
    "tool_call": _tool_call,
    "pong": _pong,
}


def _tool_result(value: dict[str, Any]) -> ToolResult:
    call_id = value.get("call_id")
    if (
        isinstance(call_id, str)
        and "result" in value
        and value.get("error") is None
        and value.get("rejected") is None
    ):
        try:
            return ToolResult(call_id=call_id, result=json_value(value["result"]))
        except InvalidFrame as error:
            raise error.under("result") from None
    found: ToolResult = from_json(ToolResult.DESCRIPTOR, value)
    return found


def _ping(value: dict[str, Any]) -> Ping:
    nonce = value.get("nonce")
    if isinstance(nonce, str | None):
        return Ping(nonce=nonce)
    raise InvalidFrame("nonce", "is no string")


_READ: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "tool_result": _tool_result,
    "ping": _ping,
}
