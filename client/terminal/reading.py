"""What the reading tools of this device return: pages, searches, counts. Pure.

A page is `{"items": [...], "total": n}`, with `next_cursor` where there are more. Where a filter
names a word that no entity has, `known` tells those that there are.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from client.terminal.store import Entity, Store

Arguments = Mapping[str, Any]
Result = dict[str, Any]

PAGE_ITEMS = 50
MAX_ITEMS = 200
MAX_KNOWN = 50

# The key that holds an entity's one line, and those that hold a time.
TITLE = {"task": "title", "project": "name", "note": "title", "checkpoint": "title"}
TIME = {"task": "dueDate", "project": None, "note": "createdAt", "checkpoint": "date"}
WORDS = ("title", "name", "content")
# Filters that take a word which only the user's own data knows, or the id of something in it.
OWN_WORDS = ("status", "priority", "assignee", "projectId", "clientId")
# How pages are asked for, and counts grouped: no filters.
NO_FILTERS = frozenset({"limit", "cursor", "by"})
# What tasks are counted by, and the key that holds it.
COUNTED_BY = {"status": "status", "project": "projectId", "assignee": "assignee"} | {
    "priority": "priority",
    "week": "dueDate",
}


class ToolError(Exception):
    """A call that this device cannot carry out: the device's own code, and a line for the agent."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def listed(store: Store, kind: str, arguments: Arguments, now: int) -> Result:
    """Returns a page of the entities that pass every filter, in the order of their kind."""
    found = [item for item in store.all(kind) if matches(kind, item, arguments, now)]
    found.sort(key=lambda item: _order(kind, item))
    return _page(found, arguments) | _known(store, kind, arguments)


def searched(store: Store, arguments: Arguments, now: int) -> Result:
    """Returns a page of the notes that hold any of the words; those that hold more, and in the
    title, first."""
    words = str(arguments.get("query", "")).casefold().split()
    narrowed = {key: value for key, value in arguments.items() if key != "query"}
    notes = [note for note in store.all("note") if matches("note", note, narrowed, now)]
    ranked = [(_score(note, words), note) for note in notes]
    ranked.sort(key=lambda pair: (-pair[0], _order("note", pair[1])))
    return _page([note for score, note in ranked if score], arguments)


def counted(store: Store, arguments: Arguments, now: int) -> Result:
    """Returns how many tasks pass every filter and, with `by`, how many of them each group has."""
    found = [task for task in store.all("task") if matches("task", task, arguments, now)]
    result: Result = {"total": len(found), **_known(store, "task", arguments)}
    by = arguments.get("by")
    if by is None:
        return result
    if by not in COUNTED_BY:
        raise ToolError("invalid_arguments", f"tasks are counted by {', '.join(COUNTED_BY)}")
    groups = Counter(_group(task, by) for task in found)
    ordered = sorted(groups.items(), key=lambda pair: _group_order(by, *pair))
    counts = [
        {"value": value, **_label(store, by, value), "count": count} for value, count in ordered
    ]
    return result | {"counts": counts}


def matches(kind: str, item: Entity, filters: Arguments, now: int) -> bool:
    """Tells whether an entity passes every filter; null and an empty text are no filter."""
    return all(
        _passes(kind, item, key, value, now)
        for key, value in filters.items()
        if value is not None and value != "" and key not in NO_FILTERS
    )


def contains(item: Entity, query: str) -> bool:
    """Tells whether every word of the query stands in the entity's texts, whatever its case."""
    text = " ".join(str(item.get(key) or "") for key in WORDS).casefold()
    return all(word in text for word in query.casefold().split())


def is_overdue(item: Entity, now: int) -> bool:
    """Tells whether a task should have been done by now."""
    due = item.get("dueDate")
    return due is not None and due < now and item.get("status") != "done"


def _passes(kind: str, item: Entity, key: str, value: Any, now: int) -> bool:
    at = item.get(TIME[kind] or "")
    match key:
        case "query":
            return contains(item, str(value))
        case "overdue":
            return is_overdue(item, now) is bool(value)
        case "dueBefore" | "dateBefore" | "createdBefore":
            return at is not None and at < value
        case "dueAfter" | "dateAfter" | "createdAfter":
            return at is not None and at > value
    return _is_of(key, item, value)


def _is_of(key: str, item: Entity, value: Any) -> bool:
    """Tells whether an entity holds a value. "ann" is Ann Miller, and Mary Ann too."""
    held = item.get(key)
    if not (isinstance(value, str) and isinstance(held, str)):
        return bool(held == value)
    if key in ("status", "priority"):
        return _plain(held) == _plain(value)
    if key != "assignee":
        return held.casefold() == value.casefold()
    names = held.casefold().split()
    return all(any(name.startswith(word) for name in names) for word in value.casefold().split())


def _plain(word: str) -> str:
    """A word without case and joints: "In progress" is in_progress."""
    return "".join(filter(str.isalnum, word)).casefold()


def _known(store: Store, kind: str, filters: Arguments) -> Result:
    """The words that there are for each filter whose own word no entity has."""
    items = store.all(kind)
    known = {
        key: words
        for key in OWN_WORDS
        if (asked := filters.get(key)) and not any(_is_of(key, item, asked) for item in items)
        if not (key == "projectId" and store.get("project", str(asked)))  # it is empty, no mistake
        if (words := _words(item.get(key) for item in items))
    }
    return {"known": known} if known else {}


def _words(values: Iterable[Any]) -> list[str]:
    return sorted({value for value in values if isinstance(value, str)})[:MAX_KNOWN]


def _page(found: Sequence[Entity], arguments: Arguments) -> Result:
    """The cursor of the next page is the id of this one's last entity."""
    start = _after(found, arguments.get("cursor"))
    limit = arguments.get("limit")
    end = start + (PAGE_ITEMS if limit is None else max(1, min(int(limit), MAX_ITEMS)))
    page = {"items": list(found[start:end]), "total": len(found)}
    return page | ({"next_cursor": found[end - 1]["id"]} if end < len(found) else {})


def _after(found: Sequence[Entity], cursor: object) -> int:
    if cursor is None or cursor == "":
        return 0
    place = next((place for place, item in enumerate(found) if item["id"] == cursor), None)
    if place is None:
        raise ToolError("invalid_cursor", "this page is gone: begin again without a cursor")
    return place + 1


def _score(note: Entity, words: list[str]) -> int:
    title = str(note.get("title") or "").casefold()
    text = str(note.get("content") or "").casefold()
    return sum(2 * (word in title) + (word in text) for word in words)


def _order(kind: str, item: Entity) -> tuple[float, str, str]:
    at = item.get(TIME[kind] or "")
    when = math.inf if at is None else float(at)
    first = -when if kind == "note" else when
    return (first, str(item.get(TITLE[kind], "")).casefold(), item["id"])


def _group(task: Entity, by: str) -> str | None:
    held = task.get(COUNTED_BY[by])
    if by == "week":
        return None if held is None else _monday(held)
    return held if isinstance(held, str) else None


def _monday(ms: float) -> str:
    """The date, on this machine's calendar, of the Monday of a time's week."""
    day = datetime.fromtimestamp(ms / 1000).astimezone().date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _group_order(by: str, value: str | None, count: int) -> tuple[bool, int, str]:
    """Weeks in their order, other groups the largest first; those of none last."""
    return (value is None, 0 if by == "week" else -count, value or "")


def _label(store: Store, by: str, value: str | None) -> Result:
    project = store.get("project", value) if by == "project" and value is not None else None
    return {"label": project["name"]} if project else {}
