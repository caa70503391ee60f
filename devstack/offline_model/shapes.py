"""Items as blocks and as lines: cards, tables, timelines, charts. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from devstack.offline_model.dates import millis
from devstack.offline_model.language import Intent
from devstack.offline_model.turn import Item, Turn
from devstack.offline_model.words import Kind

Block = Mapping[str, Any]


def label(item: Item) -> str:
    """Returns an item's title or name."""
    return str(item.get("title") or item.get("name") or "")


def due_of(item: Item) -> Any:
    """When an item is due, in ms, UTC; None for one that has no such day."""
    return item.get("dueDate", item.get("date"))


def is_overdue(item: Item, now: int) -> bool:
    """Whether a task's day, or a checkpoint's, has passed and it is not done; `now` in ms, UTC."""
    due = due_of(item)
    return isinstance(due, int | float) and due < now and item.get("status") != "done"


def plural(count: int, kind: str) -> str:
    """Returns a count with its noun: "no tasks", "1 task"."""
    return f"{count} {kind}" if count == 1 else f"{count or 'no'} {kind}s"


def day(value: Any, zone: tzinfo | None) -> str:
    """Returns the day of a time in ms, UTC, as people say it; nothing where it is no time."""
    if not isinstance(value, int | float) or abs(value) > 1e14:
        return ""
    moment = datetime.fromtimestamp(value / 1000, UTC).astimezone(zone)
    return f"{moment.day} {moment:%b %Y}"


def word(status: Any) -> str:
    """Returns a status as people write it."""
    return str(status).replace("_", " ") if status else ""


def cards(kind: str, items: Sequence[Item]) -> list[Block]:
    """Returns cards of these items; none where there are no items."""
    ids = [item["id"] for item in items if isinstance(item.get("id"), str)]
    return [{"type": "entity_ref", "entity": kind, "ids": ids}] if ids else []


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> Block:
    """Returns a table."""
    return {"type": "table", "headers": list(headers), "rows": [list(row) for row in rows]}


def item_table(turn: Turn, kind: Kind, items: Sequence[Item]) -> Block:
    """Returns a table of items, with the columns that fit their kind."""
    zone = turn.now.tzinfo
    match kind:
        case "task":
            headers = ["Task", "Status", "Priority", "Due", "Assignee"]
            rows = [
                [
                    label(i),
                    word(i.get("status")),
                    i.get("priority"),
                    day(i.get("dueDate"), zone),
                    i.get("assignee"),
                ]
                for i in items
            ]
        case "project":
            headers = ["Project", "Status"]
            rows = [[label(i), word(i.get("status"))] for i in items]
        case "note":
            headers = ["Note", "Written"]
            rows = [[label(i), day(i.get("createdAt"), zone)] for i in items]
        case "checkpoint":
            headers = ["Checkpoint", "Date", "Approved"]
            rows = [[label(i), day(i.get("date"), zone), bool(i.get("isApproved"))] for i in items]
    return table(headers, rows)


def timeline(items: Sequence[Item]) -> list[Block]:
    """Returns a timeline of the items that have a date, in its order."""
    dated = [
        {"id": item["id"], "title": label(item), "date": date}
        for item in items
        if isinstance(date := item.get("date", item.get("dueDate")), int | float) and item.get("id")
    ]
    dated.sort(key=lambda entry: entry["date"])
    return [{"type": "timeline", "checkpoints": dated}] if dated else []


def _bars(
    title: str, x: str, series: str, heading: str, values: Sequence[tuple[str, int]]
) -> Block:
    return {
        "type": "chart",
        "chartType": "bar",
        "title": title,
        "data": [{x: name, series: value} for name, value in values],
        "config": {series: {"label": heading, "color": "var(--chart-1)"}},
    }


def chart(turn: Turn, intent: Intent, items: Sequence[Item]) -> list[Block]:
    """Returns the chart that says most: how late items are, else how many of each group."""
    if not items:
        return []
    if intent.filters.overdue:
        now = millis(turn.now)
        late = [(label(item), max(1, round((now - due_of(item)) / 86_400_000))) for item in items]
        return [_bars("Days overdue", intent.kind, "days", "Days overdue", late)]
    return count_chart(intent.kind, *groups(turn, intent, items))


def count_chart(kind: str, by: str, counts: Mapping[str, int]) -> list[Block]:
    """Returns a chart of how many items each group has."""
    heading = f"{kind.capitalize()}s"
    return [_bars(f"{heading} by {by}", by, "count", heading, list(counts.items()))]


def counted_by(message: str) -> str:
    """Returns what a message asks items to be counted by; their status where it does not say."""
    asked = re.search(r"\b(?:by|per) (status|priority|assignee|project|week)\b", message, re.I)
    return asked[1].lower() if asked else "status"


def groups(turn: Turn, intent: Intent, items: Sequence[Item]) -> tuple[str, dict[str, int]]:
    """Returns what items are counted by (their status where nothing is asked), and the counts."""
    match intent.kind:
        case "checkpoint":
            by, words = "state", [_checkpoint_state(item) for item in items]
        case "note":
            zone = turn.now.tzinfo
            by, words = "month", [day(i.get("createdAt"), zone).partition(" ")[2] for i in items]
        case _:
            by = counted_by(turn.message)
            by = by if by in ("status", "priority", "assignee") else "status"
            words = [word(item.get(by)) for item in items]
    return by, dict(Counter(word or "none" for word in words).most_common())


def _checkpoint_state(item: Item) -> str:
    if item.get("isApproved"):
        return "approved"
    return "suggested" if item.get("isAiSuggested") else "planned"


def line(turn: Turn, item: Item) -> str:
    """Returns an item as a line of plain text."""
    date = item.get("dueDate", item.get("date"))
    details = [
        word(item.get("status")),
        f"{item['priority']} priority" if item.get("priority") else "",
        day(date, turn.now.tzinfo),
    ]
    said = ", ".join(detail for detail in details if detail)
    return f"- {label(item)}{f' ({said})' if said else ''}"
