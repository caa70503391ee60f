"""What the model is told of a tool's result: JSON text of a bounded length.

The result that a device sent goes on to the formatter and the router untouched; what is made here
is for the model's eyes alone. Beside each time stands the user's local time, and `notice` says
what a reader would get wrong: that a page is no total, that something was left out.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any, Final

from agent_svc import times
from agent_svc.cutting import fitted, notice, start_of
from agent_svc.tools import Tool
from switchboard.v3.frames_pb2 import ToolResult

log = logging.getLogger(__name__)

_TIME: Final = re.compile(r"(?:^date|Date|Time|[dD]eadline|At|_at|_date|_time)$")
"""Keys that hold a time, in entities of the catalogue and in those that apps add."""

_EARLIEST_MS: Final = 100_000_000_000
"""A smaller number under such a key is likelier seconds, or a count of days."""

_LOOKED_AT: Final = 50

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
            return fitted(rejection)
        case _:
            return failed(result.error.code, result.error.message)


def failed(code: str, message: str) -> str:
    """What the model is told of a call that failed."""
    return fitted({"error": {"code": code, "message": message}})


def _shown(tool: Tool, utf8: bytes, arguments: Mapping[str, Any], zone: tzinfo | None) -> str:
    try:
        value = json.loads(utf8)  # unlike orjson it keeps numbers past 64 bits
        if not tool.fits(_beginning(value)):
            log.warning("the device's result of %s has another shape than is told", tool.name)
        value = _with_local_times(value, zone)
        if isinstance(value, dict):
            value |= notice(_page(tool, value, arguments))
        return fitted(value)
    except (ValueError, RecursionError):  # no JSON, or nested as no data is
        return start_of(utf8.decode("utf-8", "replace"))


def _beginning(value: Any) -> Any:
    """A result with its first few items: to look at thousands takes a second."""
    items = value.get("items") if isinstance(value, dict) else None
    return value | {"items": items[:_LOOKED_AT]} if isinstance(items, list) else value


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
