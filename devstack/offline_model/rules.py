"""The next step of a turn: tools to call, or an answer. Pure.

Each rule asks for what it lacks and is asked again when the results are there, so a
turn of several steps (find the project, find the task, change it) needs no memory
beside the conversation itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

from devstack.offline_model import answers
from devstack.offline_model.answers import Answer
from devstack.offline_model.dates import due_at, millis
from devstack.offline_model.language import Filters, Intent, read
from devstack.offline_model.shapes import counted_by, is_overdue, label
from devstack.offline_model.turn import Call, Item, Result, Turn
from devstack.offline_model.words import Act, Kind

MOST_ITEMS: Final = 200
"""The largest page that a tool gives: these rules read no second one."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Tools to run side by side before the next step."""

    calls: Sequence[Call]


Step: TypeAlias = Calls | Answer


def step(turn: Turn) -> Step:
    """Returns what the model does next."""
    intent = read(turn.message, turn.kind, turn.now)
    match intent.act:
        case Act.TALK | Act.LIST | Act.OVERVIEW | Act.SEARCH if _asks_of_scope(turn):
            return _describe(turn)
        case Act.REMEMBER:
            return _remember(turn, intent)
        case Act.RECALL:
            return _recall(turn)
        case Act.TALK:
            return answers.talk(turn)
        case Act.OVERVIEW:
            return _overview(turn)
        case Act.LIST | Act.COUNT | Act.SEARCH:
            return _read(turn, intent)
        case Act.CREATE:
            return _create(turn, intent)
        case Act.SUGGEST:
            return _suggest(turn, intent)
        case Act.APPROVE if re.search(r"\ball\b", turn.message, re.I):
            return _approve_all(turn)
        case Act.UPDATE | Act.COMPLETE | Act.DELETE | Act.APPROVE:
            return _change(turn, intent)


def _asks_of_scope(turn: Turn) -> bool:
    """Whether the question is about the item that the popup stands on."""
    if turn.scope is None or not turn.offers(f"get_{turn.scope[0]}"):
        return False
    return re.search(r"\b(?:this(?! week| month)|it)\b", turn.message, re.I) is not None


def _describe(turn: Turn) -> Step:
    assert turn.scope is not None  # noqa: S101 - asked before
    kind, item_id = turn.scope
    if done := turn.of(f"get_{kind}"):
        return answers.described(turn, kind, done[-1])
    return Calls([turn.call(f"get_{kind}", id=item_id)])


def _remember(turn: Turn, intent: Intent) -> Step:
    done = turn.of("remember_preference")
    if done:
        return answers.remembered(intent, done)
    if not turn.offers("remember_preference"):
        return Answer("I have no way to remember that here.")
    wanted = intent.changes.items()
    return Calls([turn.call("remember_preference", key=key, value=value) for key, value in wanted])


def _recall(turn: Turn) -> Step:
    done = turn.of("search_memory")
    if done or not turn.offers("search_memory"):
        return answers.recalled(turn, done[-1] if done else None)
    return Calls([turn.call("search_memory", query=turn.message)])


def _overview(turn: Turn) -> Step:
    wanted = [
        name for name in ("list_tasks", "list_projects", "list_checkpoints") if turn.offers(name)
    ]
    missing = [name for name in wanted if not turn.of(name)]
    if missing:
        return Calls([turn.call(name, limit=MOST_ITEMS) for name in missing])
    found = {result.tool: result for result in turn.results}
    return answers.overview(turn, found)


# --- reading


def _read(turn: Turn, intent: Intent) -> Step:
    project: Item | None = None
    if intent.project:
        match _find(turn, "project", intent.project):
            case Calls() | Answer() as first:
                return first
            case Mapping() as project:
                pass
    if intent.act is Act.COUNT and turn.offers(f"count_{intent.kind}s"):
        return _count(turn, intent, project)
    tool = _reading_tool(turn, intent)
    if tool is None:
        return Answer(f"This device offers me no way to read {intent.kind}s.")
    done = turn.of(tool)
    done = done[1:] if tool == "list_projects" and intent.project else done
    if not done:
        return Calls([_reading_call(turn, intent, tool, project)])
    if done[-1].value is None:
        return answers.failed(done[-1])
    chosen = [item for item in done[-1].items if matches(item, intent.filters, millis(turn.now))]
    # Where all that came is meant, so is what did not come with this page.
    total = done[-1].total if len(chosen) == len(done[-1].items) else None
    answer = answers.items(turn, intent, chosen, project, total)
    return answers.with_known(answer, done[-1].value)


def _count(turn: Turn, intent: Intent, project: Item | None) -> Step:
    tool = f"count_{intent.kind}s"
    if not (done := turn.of(tool)):
        call = _reading_call(turn, intent, tool, project)
        return Calls([turn.call(tool, by=counted_by(turn.message), **call.arguments)])
    if (value := done[-1].value) is None:
        return answers.failed(done[-1])
    return answers.with_known(answers.counted(turn, intent, value, project), value)


def _reading_tool(turn: Turn, intent: Intent) -> str | None:
    search, everything = f"search_{intent.kind}s", f"list_{intent.kind}s"
    if intent.title and turn.offers(search):
        return search
    return everything if turn.offers(everything) else None


def _reading_call(turn: Turn, intent: Intent, tool: str, project: Item | None) -> Call:
    due = intent.filters.due
    field = {"task": "due", "checkpoint": "date", "note": "created"}.get(intent.kind, "")
    between = {f"{field}After": due.start - 1, f"{field}Before": due.end} if due else {}
    return turn.call(
        tool,
        query=intent.title or None,
        status=intent.filters.status,
        priority=intent.filters.priority,
        assignee=intent.filters.assignee,
        overdue=True if intent.filters.overdue and intent.kind == "task" else None,
        projectId=project["id"] if project else None,
        **between,
    )


def _fits(key: str, held: str, wanted: str) -> bool:
    """Whether a field holds a word; a person is also meant by a part of the name."""
    if key != "assignee":
        return held == wanted
    names = held.split()
    return all(any(name.startswith(word) for name in names) for word in wanted.split())


def matches(item: Item, filters: Filters, now: int) -> bool:
    """Whether an item passes: a device's tool may not know every filter. `now` in ms, UTC."""
    due = item.get("dueDate", item.get("date", item.get("createdAt")))
    dated = isinstance(due, int | float)
    if filters.overdue and not is_overdue(item, now):
        return False
    if filters.due and not (dated and filters.due.start <= due < filters.due.end):
        return False
    return all(
        wanted is None or _fits(key, str(item.get(key, "")).lower(), wanted.lower())
        for key, wanted in (
            ("status", filters.status),
            ("priority", filters.priority),
            ("assignee", filters.assignee),
        )
    )


# --- finding one item by its title


def _find(turn: Turn, kind: Kind, title: str) -> Item | Calls | Answer:
    """Returns the item a title means, or the step that finds it, or the question which."""
    if answers.THIS.match(title):
        if turn.scope and turn.scope[0] == kind:
            return {"id": turn.scope[1]}
        return Answer(f"Which {kind} do you mean? Tell me its title.")
    tool = f"list_{kind}s"
    if not turn.offers(tool):
        return Answer(f"This device offers me no way to look for {kind}s.")
    looked = [result for result in turn.of(tool) if _looks_for(result, title)]
    if not looked:
        return Calls([turn.call(tool, query=title)])
    if looked[-1].value is None:
        return answers.failed(looked[-1])
    found = best(looked[-1].items, title)
    if not found and len(looked) == 1 and "query" in looked[0].arguments:
        return Calls([turn.call(tool, limit=MOST_ITEMS)])
    match found:
        case []:
            return Answer(f"I found no {kind} called “{title}”.")
        case [item]:
            return item
        case several:
            names = ", ".join(f"“{label(item)}”" for item in several[:5])
            return Answer(f"Several {kind}s fit “{title}”: {names}. Which one do you mean?")


def _looks_for(result: Result, title: str) -> bool:
    return result.arguments.get("query") in (None, title)


def best(items: Sequence[Item], title: str) -> list[Item]:
    """Returns the items that a title fits best: exactly, by its start, within, or by its words."""
    wanted = title.lower().strip()
    named = [(label(item).lower(), item) for item in items]
    words = set(re.findall(r"\w+", wanted)) - {"the", "a", "an", "my", "to"}
    for fits in (
        lambda name: name == wanted,
        lambda name: name.startswith(wanted),
        lambda name: wanted in name,
        lambda name: bool(words) and words <= set(re.findall(r"\w+", name)),
    ):
        if found := [item for name, item in named if fits(name)]:
            return found
    return []


# --- writing


def _create(turn: Turn, intent: Intent) -> Step:
    tool = f"create_{intent.kind}"
    if done := turn.of(tool):
        return answers.written(turn, intent, done)
    if not turn.offers(tool):
        return _unable(intent)
    if not intent.title:
        return Answer(f"What should the {intent.kind} be called?")
    project: Item | None = None
    if intent.project:
        match _find(turn, "project", intent.project):
            case Calls() | Answer() as first:
                return first
            case Mapping() as project:
                pass
    elif intent.kind != "project" and turn.scope and turn.scope[0] == "project":
        project = {"id": turn.scope[1]}
    fields: dict[str, Any] = dict(intent.changes)
    fields["name" if intent.kind == "project" else "title"] = intent.title
    if intent.kind == "checkpoint":
        fields.setdefault("date", due_at("in 7 days", turn.now))
    if intent.kind == "note":
        fields.setdefault("content", intent.title)
    return Calls([turn.call(tool, projectId=project["id"] if project else None, **fields)])


def _change(turn: Turn, intent: Intent) -> Step:
    """Finds the item, then acts on it."""
    if intent.act is Act.COMPLETE and intent.kind in ("note", "checkpoint"):
        return Answer(f"A {intent.kind} is never done: tasks and projects are.")
    tool = _changing_tool(turn, intent)
    if done := turn.of(tool):
        return answers.written(turn, intent, done)
    if not turn.offers(tool):
        return _unable(intent)
    match _find(turn, intent.kind, intent.title):
        case Calls() | Answer() as first:
            return first
        case Mapping() as item:
            pass
    changes: dict[str, Any] = dict(intent.changes)
    if tool.startswith("update_"):
        if intent.act is Act.COMPLETE:
            changes["status"] = "completed"
        if intent.project:
            match _find(turn, "project", intent.project):
                case Calls() | Answer() as first:
                    return first
                case Mapping() as project:
                    changes["projectId"] = project["id"]
        if not changes:
            return Answer(f"What should I change about “{label(item) or 'it'}”?")
        return Calls([turn.call(tool, id=item["id"], **changes)])
    return Calls([turn.call(tool, id=item["id"])])


def _unable(intent: Intent) -> Answer:
    return Answer(
        f"I cannot {intent.act} {intent.kind}s in this place. Name the kind of thing in your "
        f"message, such as “{intent.act} the {intent.kind} …”."
    )


def _changing_tool(turn: Turn, intent: Intent) -> str:
    match intent.act:
        case Act.COMPLETE if intent.kind == "task":
            return "complete_task"
        case Act.APPROVE:
            return "approve_checkpoint"
        case Act.DELETE:
            return f"delete_{intent.kind}"
        case _:
            return f"update_{intent.kind}"


def _approve_all(turn: Turn) -> Step:
    if done := turn.of("approve_checkpoint"):
        return answers.written(turn, Intent(Act.APPROVE, "checkpoint"), done)
    if not (turn.offers("list_checkpoints") and turn.offers("approve_checkpoint")):
        return Answer("I cannot approve checkpoints here.")
    listed = turn.of("list_checkpoints")
    if not listed:
        return Calls([turn.call("list_checkpoints")])
    if listed[-1].value is None:
        return answers.failed(listed[-1])
    waiting = [i for i in listed[-1].items if i.get("isAiSuggested") and not i.get("isApproved")]
    if not waiting:
        return Answer("No suggested checkpoint waits for your approval.")
    return Calls([turn.call("approve_checkpoint", id=item["id"]) for item in waiting])


def _suggest(turn: Turn, intent: Intent) -> Step:
    if done := turn.of("suggest_checkpoints"):
        return answers.written(turn, intent, done)
    if not turn.offers("suggest_checkpoints"):
        return Answer("I cannot suggest checkpoints here.")
    title = intent.project or intent.title
    if not title and not (turn.scope and turn.scope[0] == "project"):
        return Answer("For which project should I suggest checkpoints?")
    match _find(turn, "project", title):
        case Calls() | Answer() as first:
            return first
        case Mapping() as project:
            pass
    checkpoints = [{**planned, "projectId": project["id"]} for planned in _plan(turn, intent)]
    return Calls([turn.call("suggest_checkpoints", checkpoints=checkpoints)])


def _plan(turn: Turn, intent: Intent) -> list[dict[str, Any]]:
    """Three checkpoints: on the days that the message names, else over the next four weeks."""
    titles = ("Kick-off review", "Half-way review", "Final delivery")
    days = iter(intent.dates)
    spread = (due_at(f"in {days} days", turn.now) or 0 for days in (7, 14, 28))
    week = int(timedelta(weeks=1).total_seconds() * 1000)
    plan: list[dict[str, Any]] = []
    for title, usual in zip(titles, spread, strict=True):
        last = plan[-1]["date"] if plan else 0
        date = next(days, None) or max(usual, last + week if plan else 0)
        plan.append({"title": title, "date": date})
    return plan
