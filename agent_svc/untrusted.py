"""PURE: where a model reads what others than the user may have written, and what follows of it.

By where a text stands, never by what it says:

    the user's own       the message outside of what is quoted in it, the user's earlier messages
                         likewise, preferences, and memory that holds the user's words alone
    anybody's            what is quoted; earlier answers, which may repeat what tools returned;
                         memory that holds a device's words, or whose words nobody knows; every
                         text that a device sends: of results, errors and rejections alike

Numbers, flags and ids carry no words, and what a device sends back of a call's own arguments
is nothing new; so an empty list, a count, or an item's id leave a run as it was.

From then on the run's writing calls are marked, and by setting the user is asked first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import orjson

from runtime import quoting
from switchboard.v3.agent_pb2 import RunStart
from switchboard.v3.frames_pb2 import MutationOp, Role, ToolResult
from switchboard.v3.memory_pb2 import MemoryItem, MemorySource, MemoryTier

Approve: TypeAlias = Literal["deletes", "writes", "off"]
"""Which calls the user is asked for once such a text was read."""

Effect: TypeAlias = MutationOp.ValueType | None

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HOLDS_ID: Final = re.compile(r"(?:^id|Id|^ids|Ids|_id|_ids|^next_cursor)$")
_ID: Final = re.compile(r"[A-Za-z0-9_:./+=-]{1,64}")
_LABEL: Final = re.compile(r"[a-z0-9]{1,16}(?:[_.][a-z0-9]{1,16})?")


def needs_approval(approve: Approve, effect: Effect) -> bool:
    """Whether the user is asked for a call that changes this, after such a text was read."""
    match approve:
        case "writes":
            return effect is not None
        case "deletes":
            return effect == MutationOp.MUTATION_OP_DELETE
        case "off":
            return False


def is_label(text: str) -> bool:
    """Whether a text is a word or two, such as `working_hours`, and so tells nothing by itself."""
    return _LABEL.fullmatch(text) is not None


def in_start(start: RunStart) -> bool:
    """Whether a run begins with any."""
    return (
        bool(quoting.quotes(start.message, start.quoted))
        or any(
            said.role == Role.ROLE_ASSISTANT and bool(said.content.strip())
            for said in start.conversation_history
        )
        or any(
            bool(said.quoted) or quoting.marked(said.content) for said in start.conversation_history
        )
        or any(map(in_memory, start.memory))
    )


def in_memory(item: MemoryItem) -> bool:
    """Whether a memory may hold any."""
    core = item.tier == MemoryTier.MEMORY_TIER_CORE
    return not core and item.source != MemorySource.MEMORY_SOURCE_USER


def in_found(told: str) -> bool:
    """Whether what a search of memory told holds any."""
    found = orjson.loads(told)
    items = found.get("items", ()) if isinstance(found, dict) else ()
    return any(item["tier"] != "core" and item.get("source") != "user" for item in items)


def in_result(result: ToolResult, arguments: Mapping[str, Any]) -> bool:
    """Whether what a device answered to a call holds any."""
    match result.WhichOneof("outcome"):
        case "result":
            return _in_json(result.result.utf8, arguments)
        case "rejected":
            return bool(result.rejected.reason)
        case _:
            return bool(result.error.code or result.error.message)


def _in_json(utf8: bytes, arguments: Mapping[str, Any]) -> bool:
    try:
        value = orjson.loads(utf8)
    except orjson.JSONDecodeError:  # the model reads it as a text
        return bool(utf8.strip())
    known = set(_texts(arguments, ids=True))
    return any(text not in known for text in _texts(value, ids=False))


def _texts(value: Any, *, ids: bool) -> Iterator[str]:
    """All texts in a value, but for empty ones, and for ids where these are not wanted."""
    waiting = [("", value)]
    while waiting:
        name, each = waiting.pop()
        match each:
            case str() if each.strip() and (ids or not _is_id(name, each)):
                yield each
            case list():
                waiting += ((name, one) for one in each)
            case dict():
                waiting += each.items()
                yield from (key for key in each if not _NAME.fullmatch(key))


def _is_id(name: str, text: str) -> bool:
    return bool(_HOLDS_ID.search(name) and _ID.fullmatch(text))
