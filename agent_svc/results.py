"""What the model is told of a tool's result: JSON text of a bounded length.

The result that a device sent goes on to the formatter and the router untouched; what is made here
is for the model's eyes alone. Beside each time stands the user's local time, `notice` says what
a reader would get wrong (a page is no total, something was left out), and what is too long is
cut inside its long texts, the longest first, before any whole item goes.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Any, Final

import orjson

from agent_svc import times
from agent_svc.tools import Tool
from switchboard.v3.frames_pb2 import ToolResult

log = logging.getLogger(__name__)

MAX_RESULT_CHARS: Final = 60_000
"""What the model reads of one result. A device may send a frame of 1 MiB, which no model takes."""

SHORTEST_CHARS: Final = 200
"""No text is cut to less than this: below it whole items go instead."""

_TIME: Final = re.compile(r"(?:^date|Date|At|_at|_date)$")
"""Keys that hold a time, in entities of the catalogue and in those that apps add."""

_EARLIEST_MS: Final = 100_000_000_000
"""A smaller number under such a key is likelier seconds, or a count of days."""

_CUT: Final = "Long texts are cut here, as marked: do not write them back from this."

Result = dict[str, Any]


def told(tool: Tool, result: ToolResult, arguments: Mapping[str, Any], zone: tzinfo | None) -> str:
    """What the model is told of a result: valid JSON, at most MAX_RESULT_CHARS characters.

    `arguments` are those that the tool ran with, `zone` the user's. Whatever the result's shape
    is, it goes on.
    """
    match result.WhichOneof("outcome"):
        case "result":
            return _shown(tool, result.result.utf8, arguments, zone)
        case "rejected":
            rejection: Result = {"rejected": True}
            if result.rejected.HasField("reason"):
                rejection["reason"] = result.rejected.reason
            return _dumped(rejection)
        case _:
            return failed(result.error.code, result.error.message)


def failed(code: str, message: str) -> str:
    """What the model is told of a call that failed."""
    return _dumped({"error": {"code": code, "message": message}})


def _shown(tool: Tool, utf8: bytes, arguments: Mapping[str, Any], zone: tzinfo | None) -> str:
    try:
        value = json.loads(utf8)  # unlike orjson it keeps numbers past 64 bits
        if not tool.fits(value):
            log.warning("the device's result of %s has another shape than is told", tool.name)
        value = _with_local_times(value, zone)
        if isinstance(value, dict):
            value |= _notice(_page(tool, value, arguments))
        return fitted(value)
    except (ValueError, RecursionError):  # no JSON, or nested as no data is
        return _start_of(utf8.decode("utf-8", "replace"))


def _dumped(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # such a number, or half a surrogate pair
        return json.dumps(value, separators=(",", ":"))


def _notice(*sentences: str) -> Result:
    told_ = " ".join(filter(None, sentences))
    return {"notice": told_} if told_ else {}


# --- times


def _with_local_times(value: Any, zone: tzinfo | None) -> Any:
    match value:
        case list():
            return [_with_local_times(one, zone) for one in value]
        case dict():
            return {
                name: one
                for key, held in value.items()
                for name, one in _timed(key, held, value, zone)
            }
    return value


def _timed(
    key: str, held: Any, beside: Mapping[str, Any], zone: tzinfo | None
) -> Iterator[tuple[str, Any]]:
    """A key with its value, and the local time after it where it holds a time."""
    yield key, _with_local_times(held, zone)
    name = f"{key}_local" if "_" in key else f"{key}Local"
    number = isinstance(held, int | float) and not isinstance(held, bool)
    if number and held >= _EARLIEST_MS and _TIME.search(key) and name not in beside:
        said = times.local(held, zone)
        if said is not None:
            yield name, said


# --- pages


def _page(tool: Tool, value: Result, arguments: Mapping[str, Any]) -> str:
    """What a reader must know of a page; empty where all there is has come."""
    items, size = value.get("items"), tool.page_size
    if size is None or not isinstance(items, list):
        return ""
    total, more = value.get("total"), value.get("next_cursor")
    counted = total if isinstance(total, int) and not isinstance(total, bool) else None
    rest = (
        " The rest: the same call with this next_cursor as cursor." if isinstance(more, str) else ""
    )
    if counted is not None and counted > len(items):
        return f"This is a page of {len(items)}: there are {counted} in all.{rest}"
    if rest:
        return f"This is a page of {len(items)}: there are more.{rest}"
    if counted is None and len(items) >= arguments.get("limit", size):
        return f"As many came as were asked for, {len(items)}: there may be more."
    return ""


# --- lengths


def fitted(value: Any, most: int = MAX_RESULT_CHARS) -> str:
    """A value as JSON of at most `most` characters, which must be a few hundred at least.

    What had to go is told: in a text that was cut, and, for items, under `omitted`.
    """
    text = _dumped(value)
    if len(text) <= most:
        return text
    if isinstance(value, dict):
        value = value | _notice(str(value.get("notice") or ""), _CUT)
    short = _with_texts_of(value, _level(value, most))
    text = _dumped(short)
    if len(text) <= most:
        return text
    return _fewer(short, most) or _start_of(_dumped(value), most)


def _level(value: Any, most: int) -> int:
    """The most characters that each text may have for the whole to fit: cutting to one level
    takes from the longest first. SHORTEST_CHARS where even that does not suffice."""
    long = [text for text in _texts(value) if len(text) > SHORTEST_CHARS]
    others = len(_dumped(value)) - sum(len(_dumped(text)) for text in long)

    def fits(level: int) -> bool:
        return others + sum(len(_dumped(_cut(text, level))) for text in long) <= most

    return _largest(fits, SHORTEST_CHARS, most)


def _largest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number from `low` up to `high` that fits; `low` where none does."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            for one in value.values():
                yield from _texts(one)


def _with_texts_of(value: Any, level: int) -> Any:
    match value:
        case str():
            return _cut(value, level)
        case list():
            return [_with_texts_of(one, level) for one in value]
        case dict():
            return {key: _with_texts_of(one, level) for key, one in value.items()}
    return value


def _cut(text: str, level: int) -> str:
    mark = f"… [{len(text) - level} more characters]"
    return text if len(text) <= level + len(mark) else text[:level] + mark


def _fewer(value: Any, most: int) -> str | None:
    """The same with as many of its first items as fit; None where not even one does."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        return None
    # The cursor would lead past the items that go.
    others = {key: one for key, one in value.items() if key not in ("items", "next_cursor")}
    said = str(others.pop("notice", ""))

    def of(count: int) -> str:
        left = len(items) - count
        more = f"{left} more items were too long to show: ask for fewer with limit, or narrow it."
        return _dumped({"items": items[:count], **others, "omitted": left} | _notice(said, more))

    kept = _largest(lambda count: len(of(count)) <= most, 0, len(items) - 1)
    return of(kept) if kept else None


def _start_of(text: str, most: int = MAX_RESULT_CHARS) -> str:
    """The beginning of what is no object with items, or no JSON at all, in a text."""

    def of(count: int) -> str:
        return _dumped({"shortened": len(text) > count, "text": text[:count]})

    return of(_largest(lambda count: len(of(count)) <= most, 0, min(len(text), most)))
