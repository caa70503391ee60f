"""Answers in words and blocks, from what tools returned. Pure.

An answer is made once and shown twice: for Home as JSON blocks, one a line, for a
popup as plain text.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import orjson

from devstack.offline_model.dates import millis
from devstack.offline_model.language import Intent
from devstack.offline_model.turn import Item, Result, Turn
from devstack.offline_model.words import Act, Kind

MAX_CARDS: Final = 12
"""Above it a table reads better than cards."""

THIS: Final = re.compile(
    r"^(?:(?:this|that|it|the)(?: one| item| task| project| note| checkpoint)?|)$", re.I
)
"""Words that mean the item a popup stands on, where a title is looked for."""

Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    `lead` and `tail` are for everyone, `lines` stand between them in a popup, `blocks`
    in Home.
    """

    lead: str
    lines: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    tail: str = ""

    def render(self, home: bool) -> str:
        """Returns the answer as the surface asks for it."""
        if not home:
            return "\n".join(part for part in (self.lead, *self.lines, self.tail) if part)
        blocks = [_text(self.lead), *self.blocks, *([_text(self.tail)] if self.tail else [])]
        return "\n".join(orjson.dumps(block).decode() for block in blocks)


def _text(content: str) -> Block:
    return {"type": "text", "content": content}


def label(item: Item) -> str:
    """Returns an item's title or name."""
    return str(item.get("title") or item.get("name") or "")


def is_overdue(item: Item, now: int) -> bool:
    """Whether a task's day has passed and it is not done; `now` in ms, UTC."""
    due = item.get("dueDate")
    return isinstance(due, int | float) and due < now and item.get("status") != "done"


def _plural(count: int, kind: str) -> str:
    return f"{count} {kind}" if count == 1 else f"{count or 'no'} {kind}s"


def _day(value: Any, zone: tzinfo | None) -> str:
    if not isinstance(value, int | float) or abs(value) > 1e14:
        return ""
    moment = datetime.fromtimestamp(value / 1000, UTC).astimezone(zone)
    return f"{moment.day} {moment:%b %Y}"


def _word(status: Any) -> str:
    return str(status).replace("_", " ") if status else ""


# --- blocks


def _cards(kind: str, items: Sequence[Item]) -> list[Block]:
    ids = [item["id"] for item in items if isinstance(item.get("id"), str)]
    return [{"type": "entity_ref", "entity": kind, "ids": ids}] if ids else []


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> Block:
    return {"type": "table", "headers": list(headers), "rows": [list(row) for row in rows]}


def _item_table(turn: Turn, kind: Kind, items: Sequence[Item]) -> Block:
    zone = turn.now.tzinfo
    match kind:
        case "task":
            headers = ["Task", "Status", "Priority", "Due", "Assignee"]
            rows = [
                [
                    label(i),
                    _word(i.get("status")),
                    i.get("priority"),
                    _day(i.get("dueDate"), zone),
                    i.get("assignee"),
                ]
                for i in items
            ]
        case "project":
            headers = ["Project", "Status"]
            rows = [[label(i), _word(i.get("status"))] for i in items]
        case "note":
            headers = ["Note", "Written"]
            rows = [[label(i), _day(i.get("createdAt"), zone)] for i in items]
        case "checkpoint":
            headers = ["Checkpoint", "Date", "Approved"]
            rows = [[label(i), _day(i.get("date"), zone), bool(i.get("isApproved"))] for i in items]
    return _table(headers, rows)


def _timeline(items: Sequence[Item]) -> list[Block]:
    dated = [
        {"id": item["id"], "title": label(item), "date": date}
        for item in items
        if isinstance(date := item.get("date", item.get("dueDate")), int | float) and item.get("id")
    ]
    dated.sort(key=lambda entry: entry["date"])
    return [{"type": "timeline", "checkpoints": dated}] if dated else []


def _bars(
    title: str, x: str, series: str, heading: str, values: Mapping[str, int | float]
) -> Block:
    return {
        "type": "chart",
        "chartType": "bar",
        "title": title,
        "data": [{x: name, series: value} for name, value in values.items()],
        "config": {series: {"label": heading, "color": "var(--chart-1)"}},
    }


def _chart(turn: Turn, intent: Intent, items: Sequence[Item]) -> list[Block]:
    """The chart that says most of these items: how late they are, else how many of each group."""
    if not items:
        return []
    if intent.filters.overdue:
        now = millis(turn.now)
        late = {
            f"{label(item)}": max(1, round((now - item["dueDate"]) / 86_400_000)) for item in items
        }
        return [_bars("Days overdue", "task", "days", "Days overdue", late)]
    by, counts = _groups(turn, intent, items)
    title = f"{intent.kind.capitalize()}s by {by}"
    return [_bars(title, by, "count", f"{intent.kind.capitalize()}s", counts)]


def _groups(turn: Turn, intent: Intent, items: Sequence[Item]) -> tuple[str, dict[str, int]]:
    """What items are counted by (their status, if nothing else was asked), and the counts."""
    asked = re.search(r"\b(?:by|per) (status|priority|assignee)\b", turn.message, re.I)
    match intent.kind:
        case "checkpoint":
            by, words = "state", [_checkpoint_state(item) for item in items]
        case "note":
            zone = turn.now.tzinfo
            by, words = "month", [_day(i.get("createdAt"), zone).partition(" ")[2] for i in items]
        case _:
            by = asked[1].lower() if asked else "status"
            words = [_word(item.get(by)) for item in items]
    return by, dict(Counter(word or "none" for word in words).most_common())


def _checkpoint_state(item: Item) -> str:
    if item.get("isApproved"):
        return "approved"
    return "suggested" if item.get("isAiSuggested") else "planned"


def _line(turn: Turn, item: Item) -> str:
    date = item.get("dueDate", item.get("date"))
    details = [
        _word(item.get("status")),
        f"{item['priority']} priority" if item.get("priority") else "",
        _day(date, turn.now.tzinfo),
    ]
    said = ", ".join(detail for detail in details if detail)
    return f"- {label(item)}{f' ({said})' if said else ''}"


# --- answers


def talk(turn: Turn) -> Answer:
    """Returns what is said where nothing is to be done: what this model is, and can do."""
    name = turn.preference("name")
    return Answer(
        f"Hello{f' {name}' if name else ''}! I am the offline model of this server: a set of "
        "rules, not a language model. I can list, search, count, create, change, complete and "
        "delete your tasks, projects, notes and checkpoints. Try “what is overdue?” or “add a task "
        "Call Bob due tomorrow”.",
    )


def failed(result: Result) -> Answer:
    """Returns what is said of a tool that did not do its work."""
    return Answer(f"I could not do that: {result.failure.rstrip('.')}.")


def remembered(turn: Turn, intent: Intent, result: Result) -> Answer:
    """Returns the answer to 'call me Sam' and its like."""
    if result.value is None:
        return failed(result)
    value = intent.changes["value"]
    if intent.title == "name":
        return Answer(f"I will call you {value}.")
    return Answer(f"I will remember that: {value}.")


def recalled(turn: Turn, result: Result | None) -> Answer:
    """Returns what is remembered: preferences in the prompt, and what a search found."""
    name = turn.preference("name")
    if re.search(r"my name|who am i", turn.message, re.I) and name:
        return Answer(f"You are {name}.")
    found = result.items if result else []
    texts = dict.fromkeys([*turn.memories, *(str(item.get("text", "")) for item in found)])
    lines = [f"- {text}" for text in texts if text]
    if not lines:
        return Answer("I remember nothing about that yet.")
    return Answer("This is what I remember:", lines, [_text("\n".join(lines))])


def written(turn: Turn, intent: Intent, results: Sequence[Result]) -> Answer:
    """Returns the answer after a change: what was done, and the item as it is now."""
    refused = [result for result in results if result.value is None]
    if refused:
        return failed(refused[0])
    items = [item for result in results for item in result.items]
    done = {
        Act.CREATE: "I created",
        Act.UPDATE: "I changed",
        Act.COMPLETE: "Done: I completed",
        Act.DELETE: "I deleted",
        Act.APPROVE: "I approved",
        Act.SUGGEST: "I suggested",
    }[intent.act]
    if len(items) == 1:
        lead = f"{done} the {intent.kind} “{label(items[0])}”."
    elif items:
        lead = f"{done} {_plural(len(items), intent.kind)}."
    else:
        title = "" if THIS.match(intent.title) else f" “{intent.title}”"
        lead = f"{done} the {intent.kind}{title}."
    if intent.act is Act.DELETE:
        return Answer(lead)
    blocks = _timeline(items) if intent.act is Act.SUGGEST else []
    tail = "Say “approve all checkpoints” to keep them." if intent.act is Act.SUGGEST else ""
    return Answer(
        _addressed(turn, lead),
        [_line(turn, item) for item in items],
        [*blocks, *_cards(intent.kind, items)],
        "" if _terse(turn) else tail,
    )


def items(turn: Turn, intent: Intent, found: Sequence[Item], project: Item | None) -> Answer:
    """Returns the answer to a question for items."""
    lead = _addressed(turn, _summary(turn, intent, found, project))
    if intent.act is Act.COUNT:
        by, counts = _groups(turn, intent, found)
        blocks = [
            *_chart(turn, intent, found),
            _table([by.capitalize(), f"{intent.kind.capitalize()}s"], list(counts.items())),
        ]
        return Answer(
            lead, [f"- {word}: {n}" for word, n in counts.items()], blocks if found else ()
        )
    lines = [_line(turn, item) for item in found[:50]]
    match intent.shape:
        case "chart":
            blocks = [*_chart(turn, intent, found), *_cards(intent.kind, found[:MAX_CARDS])]
        case "table":
            blocks = [_item_table(turn, intent.kind, found)] if found else []
        case "timeline":
            blocks = _timeline(found)
        case None:
            blocks = _usual(turn, intent, found)
    return Answer(lead, lines, blocks, _advice(turn, intent, found))


def _usual(turn: Turn, intent: Intent, found: Sequence[Item]) -> list[Block]:
    if not found:
        return []
    timeline = _timeline(found) if intent.kind == "checkpoint" else []
    if len(found) > MAX_CARDS:
        return [*timeline, _item_table(turn, intent.kind, found)]
    return [*timeline, *_cards(intent.kind, found)]


def _summary(turn: Turn, intent: Intent, found: Sequence[Item], project: Item | None) -> str:
    which = intent.filters
    words = [
        "overdue" if which.overdue else "",
        _word(which.status),
        f"{which.priority}-priority" if which.priority else "",
    ]
    adjectives = "".join(f"{word} " for word in words if word)
    where = f" in the project “{label(project)}”" if project else ""
    when = f" due {which.due.words}" if which.due else ""
    who = f" of {which.assignee}'s" if which.assignee else ""
    about = f" about “{intent.title}”" if intent.title else ""
    what = _plural(len(found), f"{adjectives}{intent.kind}")
    return f"You have {what}{who}{where}{about}{when}."


def _advice(turn: Turn, intent: Intent, found: Sequence[Item]) -> str:
    if _terse(turn) or not found or not intent.filters.overdue:
        return ""
    oldest = min(found, key=lambda item: item["dueDate"])
    due = _day(oldest["dueDate"], turn.now.tzinfo)
    return f"The oldest is “{label(oldest)}”, due {due}."


def described(turn: Turn, kind: Kind, result: Result) -> Answer:
    """Returns what the item is that a popup stands on."""
    if result.value is None:
        return failed(result)
    if not result.items:
        return Answer(f"The {kind} is no longer there.")
    item = result.items[0]
    content = str(item.get("content") or "")
    lead = f"This is the {kind} “{label(item)}”."
    lines = [*([content] if content else []), _line(turn, item)]
    return Answer(_addressed(turn, lead), lines, _cards(kind, [item]))


def overview(turn: Turn, found: Mapping[str, Result]) -> Answer:
    """Returns how everything stands: words, a chart, a table, a timeline and cards."""
    now = millis(turn.now)
    tasks, projects, checkpoints = (
        found[tool].items if tool in found else []
        for tool in ("list_tasks", "list_projects", "list_checkpoints")
    )
    late = [task for task in tasks if is_overdue(task, now)]
    coming = sorted(
        (c for c in checkpoints if isinstance(c.get("date"), int | float) and c["date"] >= now),
        key=lambda c: c["date"],
    )
    lead = (
        f"You have {_plural(len(tasks), 'task')}, {len(late) or 'none'} of them overdue, in "
        f"{_plural(len(projects), 'project')}; {_plural(len(coming), 'checkpoint')} to come."
    )
    by_status = Intent(Act.COUNT, "task")
    blocks = [*_chart(turn, by_status, tasks)]
    if projects:
        blocks.append(_table(["Project", "Status", "Tasks"], _project_rows(projects, tasks)))
    blocks += [*_timeline(coming), *_cards("task", late[:MAX_CARDS])]
    lines = [_line(turn, item) for item in (*late, *coming)]
    return Answer(_addressed(turn, lead), lines, blocks)


def _project_rows(projects: Sequence[Item], tasks: Sequence[Item]) -> list[list[Any]]:
    counts = Counter(task.get("projectId") for task in tasks)
    return [[label(p), _word(p.get("status")), counts[p.get("id")]] for p in projects]


def _addressed(turn: Turn, lead: str) -> str:
    """The sentence, with the user's name before it where one is remembered."""
    name = turn.preference("name")
    if not name or not lead.startswith(("You", "I ")):
        return lead
    return f"{name}, {lead[0].lower() if lead.startswith('You') else lead[0]}{lead[1:]}"


def _terse(turn: Turn) -> bool:
    return bool(
        re.search(r"\b(?:short|brief|terse|concise)\b", turn.preference("answer_style"), re.I)
    )
