"""Answers in words and blocks, from what tools returned. Pure.

An answer is made once and shown twice: for Home as JSON blocks, one a line, for a
popup as plain text.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from devstack.offline_model import shapes
from devstack.offline_model.dates import millis
from devstack.offline_model.language import Intent
from devstack.offline_model.shapes import Block, is_overdue, label
from devstack.offline_model.turn import Item, Result, Turn
from devstack.offline_model.words import Act, Kind

MAX_CARDS: Final = 12
"""Above it a table reads better than cards."""

THIS: Final = re.compile(
    r"^(?:(?:this|that|it|the)(?: one| item| task| project| note| checkpoint)?|)$", re.I
)
"""Words that mean the item a popup stands on, where a title is looked for."""


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


def remembered(intent: Intent, results: Sequence[Result]) -> Answer:
    """Returns the answer to 'call me Sam' and its like."""
    for result in results:
        if result.value is None:
            return failed(result)
    wanted = dict(intent.changes)
    name = wanted.pop("name", None)
    said = [f"I will call you {name}."] if name else []
    if wanted:
        said.append(f"I will remember that: {', '.join(map(str, wanted.values()))}.")
    return Answer(" ".join(said))


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
        lead = f"{done} {shapes.plural(len(items), intent.kind)}."
    else:
        title = "" if THIS.match(intent.title) else f" “{intent.title}”"
        lead = f"{done} the {intent.kind}{title}."
    if intent.act is Act.DELETE:
        return Answer(lead)
    blocks = shapes.timeline(items) if intent.act is Act.SUGGEST else []
    tail = "Say “approve all checkpoints” to keep them." if intent.act is Act.SUGGEST else ""
    return Answer(
        _addressed(turn, lead),
        [shapes.line(turn, item) for item in items],
        [*blocks, *shapes.cards(intent.kind, items)],
        "" if _terse(turn) else tail,
    )


def counted(turn: Turn, intent: Intent, value: Mapping[str, Any], project: Item | None) -> Answer:
    """Returns the answer to a question for a number, from what a counting tool said."""
    lead = _addressed(turn, _summary(intent, int(value.get("total", 0)), project))
    counts = {
        shapes.word(one.get("label") or one.get("value")) or "none": int(one.get("count", 0))
        for one in value.get("counts", ())
    }
    return _groups(intent, lead, shapes.counted_by(turn.message), counts)


def with_known(answer: Answer, value: Mapping[str, Any]) -> Answer:
    """Returns the answer with the words that a filter could have named, where it named none."""
    known = value.get("known")
    if not isinstance(known, dict) or not known:
        return answer
    lists = (f"{key} {', '.join(map(shapes.word, words))}" for key, words in known.items())
    return replace(answer, tail=f"In use are: {'; '.join(lists)}.")


def _groups(intent: Intent, lead: str, by: str, counts: Mapping[str, int]) -> Answer:
    if not counts:
        return Answer(lead)
    headers = [by.capitalize(), f"{intent.kind.capitalize()}s"]
    blocks = [
        *shapes.count_chart(intent.kind, by, counts),
        shapes.table(headers, list(counts.items())),
    ]
    return Answer(lead, [f"- {word}: {n}" for word, n in counts.items()], blocks)


def items(
    turn: Turn,
    intent: Intent,
    found: Sequence[Item],
    project: Item | None,
    total: int | None = None,
) -> Answer:
    """Returns the answer to a question for items; `total` where there are more than were found."""
    count = len(found) if total is None else total
    lead = _addressed(turn, _summary(intent, count, project))
    if intent.act is Act.COUNT:
        return _groups(intent, lead, *shapes.groups(turn, intent, found))
    if count > len(found):
        lead += f" These are the first {len(found)}."
    lines = [shapes.line(turn, item) for item in found[:50]]
    match intent.shape:
        case "chart":
            chosen = shapes.cards(intent.kind, found[:MAX_CARDS])
            blocks = [*shapes.chart(turn, intent, found), *chosen]
        case "table":
            blocks = [shapes.item_table(turn, intent.kind, found)] if found else []
        case "timeline":
            blocks = shapes.timeline(found)
        case None:
            blocks = _usual(turn, intent, found)
    return Answer(lead, lines, blocks, _advice(turn, intent, found))


def _usual(turn: Turn, intent: Intent, found: Sequence[Item]) -> list[Block]:
    if not found:
        return []
    timeline = shapes.timeline(found) if intent.kind == "checkpoint" else []
    if len(found) > MAX_CARDS:
        return [*timeline, shapes.item_table(turn, intent.kind, found)]
    return [*timeline, *shapes.cards(intent.kind, found)]


def _summary(intent: Intent, count: int, project: Item | None) -> str:
    which = intent.filters
    words = [
        "overdue" if which.overdue else "",
        shapes.word(which.status),
        f"{which.priority}-priority" if which.priority else "",
    ]
    adjectives = "".join(f"{word} " for word in words if word)
    where = f" in the project “{label(project)}”" if project else ""
    when = f" due {which.due.words}" if which.due else ""
    who = f" of {which.assignee}'s" if which.assignee else ""
    about = f" about “{intent.title}”" if intent.title else ""
    what = shapes.plural(count, f"{adjectives}{intent.kind}")
    return f"You have {what}{who}{where}{about}{when}."


def _advice(turn: Turn, intent: Intent, found: Sequence[Item]) -> str:
    if _terse(turn) or not found or not intent.filters.overdue:
        return ""
    oldest = min(found, key=shapes.due_of)
    due = shapes.day(shapes.due_of(oldest), turn.now.tzinfo)
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
    lines = [*([content] if content else []), shapes.line(turn, item)]
    return Answer(_addressed(turn, lead), lines, shapes.cards(kind, [item]))


def overview(turn: Turn, found: Mapping[str, Result]) -> Answer:
    """Returns how everything stands: words, a chart, a table, a timeline and cards."""
    now = millis(turn.now)
    tasks, projects, checkpoints = (
        found[tool].items if tool in found else []
        for tool in ("list_tasks", "list_projects", "list_checkpoints")
    )
    total = found["list_tasks"].total if "list_tasks" in found else None
    count = len(tasks) if total is None else total
    late = [task for task in tasks if is_overdue(task, now)]
    coming = sorted(
        (c for c in checkpoints if isinstance(c.get("date"), int | float) and c["date"] >= now),
        key=lambda c: c["date"],
    )
    lead = (
        f"You have {shapes.plural(count, 'task')}, {len(late) or 'none'} of them overdue, in "
        f"{shapes.plural(len(projects), 'project')}; "
        f"{shapes.plural(len(coming), 'checkpoint')} to come."
    )
    by_status = Intent(Act.COUNT, "task")
    blocks = [*shapes.chart(turn, by_status, tasks)]
    if projects:
        blocks.append(shapes.table(["Project", "Status", "Tasks"], _project_rows(projects, tasks)))
    blocks += [*shapes.timeline(coming), *shapes.cards("task", late[:MAX_CARDS])]
    lines = [shapes.line(turn, item) for item in (*late, *coming)]
    return Answer(_addressed(turn, lead), lines, blocks)


def _project_rows(projects: Sequence[Item], tasks: Sequence[Item]) -> list[list[Any]]:
    counts = Counter(task.get("projectId") for task in tasks)
    return [[label(p), shapes.word(p.get("status")), counts[p.get("id")]] for p in projects]


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
