"""The tools of the catalogue, as this device runs them. Pure: a store goes in, a
result and the changes that it stands for come out; the caller makes and keeps them.

Results are a page `{"items": [...], "total": n, "next_cursor": "..."}` for lists,
`{"items": [...]}` for reading one, `{"item": {...}}` for writing and `{"id": "..."}` for
deleting. Arguments were checked against the catalogue's schemas by
the server; what would harm this store is checked again here, for it is this device's.
"""

import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from client.terminal import reading
from client.terminal.reading import TIME, TITLE, Arguments, ToolError
from client.terminal.store import KINDS, Change, Entity, Store

MAX_TEXT = 100_000
# What an entity has where its maker says nothing.
DEFAULTS: dict[str, Entity] = {
    "task": {"status": "todo", "priority": "medium"},
    "project": {"status": "active"},
    "note": {"content": ""},
    "checkpoint": {"isAiSuggested": False, "isApproved": True},
}
TIME_KEYS = frozenset(key for key in TIME.values() if key)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool returns, and the changes to be made in the store."""

    result: dict[str, Any]
    changes: tuple[Change, ...] = ()


Tool = Callable[[Store, Arguments, int], Outcome]


def run(store: Store, name: str, arguments: Arguments, now: int) -> Outcome:
    """Works out a call at `now` (milliseconds, UTC). The store stays as it is.

    Raises ToolError where the tool, the entity or an argument is not what it should be.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise ToolError("unknown_tool", f"this device has no tool {name}")
    try:
        json.dumps(arguments, allow_nan=False)  # 1e999 is JSON, but what is read from it is not
        return tool(store, arguments, now)
    except (TypeError, ValueError, OverflowError) as error:
        raise ToolError("invalid_arguments", "an argument is not of its type") from error


def writes(name: str) -> bool:
    """Tells whether a tool changes the store: a lost request that ran one is not asked again."""
    return not name.startswith(("list_", "get_", "search_", "count_"))


# Reading


def _list(kind: str) -> Tool:
    def tool(store: Store, arguments: Arguments, now: int) -> Outcome:
        return Outcome(reading.listed(store, kind, arguments, now))

    return tool


def _get(kind: str) -> Tool:
    def tool(store: Store, arguments: Arguments, now: int) -> Outcome:
        item = store.get(kind, str(arguments.get("id")))
        return Outcome({"items": [item] if item else []})

    return tool


def _search_notes(store: Store, arguments: Arguments, now: int) -> Outcome:
    return Outcome(reading.searched(store, arguments, now))


def _count_tasks(store: Store, arguments: Arguments, now: int) -> Outcome:
    return Outcome(reading.counted(store, arguments, now))


# Writing


def _create(kind: str) -> Tool:
    def tool(store: Store, arguments: Arguments, now: int) -> Outcome:
        item = _new(kind, arguments, now)
        return Outcome({"item": item}, (Change("create", kind, item["id"], item),))

    return tool


def _update(kind: str) -> Tool:
    def tool(store: Store, arguments: Arguments, now: int) -> Outcome:
        changes = {key: value for key, value in arguments.items() if key != "id"}
        return _change(store, kind, arguments.get("id"), changes)

    return tool


def _delete(kind: str) -> Tool:
    def tool(store: Store, arguments: Arguments, now: int) -> Outcome:
        item = _existing(store, kind, arguments.get("id"))
        return Outcome({"id": item["id"]}, (Change("delete", kind, item["id"]),))

    return tool


def _complete_task(store: Store, arguments: Arguments, now: int) -> Outcome:
    return _change(store, "task", arguments.get("id"), {"status": "done"})


def _approve_checkpoint(store: Store, arguments: Arguments, now: int) -> Outcome:
    return _change(store, "checkpoint", arguments.get("id"), {"isApproved": True})


def _suggest_checkpoints(store: Store, arguments: Arguments, now: int) -> Outcome:
    shared = {key: value for key, value in arguments.items() if key != "checkpoints"}
    proposed = arguments.get("checkpoints")
    if not isinstance(proposed, list) or not proposed:
        raise ToolError("invalid_arguments", "checkpoints must be a list of at least one")
    mark = {"isAiSuggested": True, "isApproved": False}
    items = [_new("checkpoint", {**shared, **one, **mark}, now) for one in proposed]
    changes = tuple(Change("create", "checkpoint", item["id"], item) for item in items)
    return Outcome({"items": items}, changes)


def _new(kind: str, values: Arguments, now: int) -> Entity:
    _check(values)
    _check_title(kind, values.get(TITLE[kind]))
    made = {"createdAt": now} if kind == "note" else {}
    given = {key: value for key, value in values.items() if value is not None}
    return {**DEFAULTS[kind], **made, **given, "id": f"{kind}-{uuid.uuid4().hex[:12]}"}


def _change(store: Store, kind: str, entity_id: object, changes: Arguments) -> Outcome:
    """Null clears a key and stays in the entity, so that other devices clear it too."""
    old = _existing(store, kind, entity_id)
    _check(changes)
    if TITLE[kind] in changes:
        _check_title(kind, changes[TITLE[kind]])
    item = {**old, **changes, "id": old["id"]}
    return Outcome({"item": item}, (Change("update", kind, item["id"], item),))


def _existing(store: Store, kind: str, entity_id: object) -> Entity:
    item = store.get(kind, entity_id) if isinstance(entity_id, str) else None
    if item is None:
        raise ToolError("not_found", f"there is no {kind} with this id")
    return item


def _check(values: Arguments) -> None:
    for key, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in TIME_KEYS and value is not None and not (number and math.isfinite(value)):
            raise ToolError("invalid_arguments", f"{key} must be a number of milliseconds, UTC")
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise ToolError("invalid_arguments", f"{key} is longer than {MAX_TEXT} characters")


def _check_title(kind: str, title: object) -> None:
    if not isinstance(title, str) or not title.strip():
        raise ToolError("invalid_arguments", f"{TITLE[kind]} must not be empty")


def _catalogue() -> dict[str, Tool]:
    of_all = {"list": _list, "get": _get, "create": _create, "update": _update, "delete": _delete}
    tools = {
        f"{verb}_{kind}s" if verb == "list" else f"{verb}_{kind}": make(kind)
        for kind in KINDS
        for verb, make in of_all.items()
    }
    return tools | {
        "complete_task": _complete_task,
        "search_notes": _search_notes,
        "count_tasks": _count_tasks,
        "suggest_checkpoints": _suggest_checkpoints,
        "approve_checkpoint": _approve_checkpoint,
    }


TOOLS: dict[str, Tool] = _catalogue()
