"""Whole turns between the rules and a device: what is done, and what is said."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from devstack.offline_model import rules
from devstack.offline_model.answers import Answer
from devstack.offline_model.turn import turn_of
from tests.support.device import DAY_MS, Store, now_ms

_READS = {"query", "status", "projectId", "overdue", "priority", "id"}
_WRITES = {"id", "title", "name", "status", "priority", "assignee", "dueDate", "projectId"}
HOME = "# Facts\n- surface: home\n- time zone: Europe/Berlin\n"
POPUP = "# Facts\n- surface: popup\n"
_NONE = {"value": None, "count": 12}


def offered(own: str) -> dict[str, set[str]]:
    """What the agent for a kind may call: its own kind's tools, and reading ones of the others."""
    tools = {f"list_{kind}s": _READS for kind in ("task", "project", "note", "checkpoint")}
    tools |= {f"get_{kind}": _READS for kind in ("task", "project", "note", "checkpoint")}
    tools |= {"search_notes": _READS, "search_memory": {"query"}}
    tools |= {"remember_preference": {"key", "value"}}
    if own == "general":
        return tools
    tools |= {f"{verb}_{own}": _WRITES | {"content", "date"} for verb in ("create", "update")}
    tools[f"delete_{own}"] = {"id"}
    if own == "task":
        tools["complete_task"] = {"id"}
    if own == "checkpoint":
        tools |= {"suggest_checkpoints": {"checkpoints"}, "approve_checkpoint": {"id"}}
    return tools


class Talk:
    """Runs turns to their end against a store."""

    def __init__(self, store: Store, agent: str = "task", system: str = HOME) -> None:
        self.store = store
        self.system = system
        self.tools = offered(agent)
        self.called: list[tuple[str, Mapping[str, Any]]] = []
        self.refuse = ""
        self.counts: dict[str, Any] = {}
        self.more: dict[str, Any] = {}

    def ask(self, message: str) -> str:
        """Returns what is said at the end."""
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": self.system},
            {"role": "user", "content": message},
        ]
        for _ in range(8):
            answer = rules.step(turn_of(self._request(messages), datetime.now(UTC)))
            if isinstance(answer, Answer):
                return answer.render("surface: home" in self.system)
            messages += self._round(answer, len(messages))
        raise AssertionError("the rules go round in circles")

    def blocks(self, message: str) -> list[dict[str, Any]]:
        """Returns the blocks of a Home answer."""
        return [orjson.loads(line) for line in self.ask(message).splitlines()]

    def _request(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        tools = [
            {
                "type": "function",
                "function": {"name": n, "parameters": {"properties": dict.fromkeys(p)}},
            }
            for n, p in self.tools.items()
        ]
        return {"messages": messages, "tools": tools}

    def _round(self, step: rules.Calls, first: int) -> list[dict[str, Any]]:
        made, results = [], []
        for number, call in enumerate(step.calls, first):
            arguments = orjson.dumps(call.arguments).decode()
            function = {"name": call.tool, "arguments": arguments}
            made.append({"id": f"c{number}", "type": "function", "function": function})
            content = orjson.dumps(self._run(call.tool, call.arguments)).decode()
            results.append({"role": "tool", "tool_call_id": f"c{number}", "content": content})
        return [{"role": "assistant", "content": None, "tool_calls": made}, *results]

    def _run(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        self.called.append((tool, arguments))
        if tool == self.refuse:
            return {"rejected": True, "reason": "not now"}
        if tool == "remember_preference":
            return {"remembered": True}
        if tool == "search_memory":
            return {"items": [{"tier": "episodic", "text": "The user asked about rockets."}]}
        if tool.startswith("count_"):
            return self.counts
        result = self.store.run(tool, arguments)
        return result | self.more if tool.startswith("list_") else result


@pytest.fixture
def store() -> Store:
    return Store.sample()


def kinds(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["type"] for block in blocks]


def test_overdue_as_a_chart_is_text_a_chart_and_cards(store: Store) -> None:
    text, chart, cards, _ = Talk(store).blocks("show my overdue tasks as a chart")
    assert text == {"type": "text", "content": "You have 2 overdue tasks."}
    assert chart["data"] == [
        {"task": "Send the invoice", "days": 3},
        {"task": "Write the report", "days": 1},
    ]
    assert list(chart["config"]) == ["days"]
    assert cards == {"type": "entity_ref", "entity": "task", "ids": ["t1", "t2"]}


def test_overdue_checkpoints_are_those_whose_day_has_passed() -> None:
    past, later = now_ms() - 3 * DAY_MS, now_ms() + DAY_MS
    store = Store(
        checkpoint=[
            {"id": "c1", "title": "Design", "date": past},
            {"id": "c2", "title": "Launch", "date": later},
        ]
    )
    text, chart, cards, tail = Talk(store).blocks("any overdue checkpoints as a chart?")
    assert text["content"] == "You have 1 overdue checkpoint."
    assert chart["data"] == [{"checkpoint": "Design", "days": 3}]
    assert cards["ids"] == ["c1"] and tail["content"].startswith("The oldest is “Design”")


def test_one_item_is_shown_by_its_title(store: Store) -> None:
    text, card = Talk(store).blocks("show the task Send the invoice")
    assert text["content"] == "You have 1 task about “Send the invoice”."
    assert card == {"type": "entity_ref", "entity": "task", "ids": ["t1"]}


def test_a_popup_gets_plain_text(store: Store) -> None:
    said = Talk(store, system=POPUP).ask("what is overdue?")
    assert said.startswith("You have 2 overdue tasks.\n- Send the invoice (todo, high priority, ")
    assert "{" not in said


def test_counting_by_status(store: Store) -> None:
    text, chart, table = Talk(store).blocks("how many tasks do I have by status?")
    assert text["content"] == "You have 4 tasks."
    assert table["rows"] == [["todo", 2], ["in progress", 1], ["done", 1]]
    assert [row["count"] for row in chart["data"]] == [2, 1, 1]


def test_a_counting_tool_is_asked_where_there_is_one(store: Store) -> None:
    talk = Talk(store)
    talk.tools["count_tasks"] = {"by", "status", "overdue", "assignee"}
    talk.counts = {"total": 812, "counts": [{"value": "todo", "count": 800}, _NONE]}
    text, chart, table = talk.blocks("how many tasks of Ann do I have by status?")
    assert talk.called == [("count_tasks", {"by": "status", "assignee": "Ann"})]
    assert text["content"] == "You have 812 tasks of Ann's."
    assert table == {
        "type": "table",
        "headers": ["Status", "Tasks"],
        "rows": [["todo", 800], ["none", 12]],
    }
    assert [row["count"] for row in chart["data"]] == [800, 12]


def test_projects_are_counted_by_their_names(store: Store) -> None:
    talk = Talk(store, system=POPUP)
    talk.tools["count_tasks"] = {"by"}
    talk.counts = {"total": 2, "counts": [{"value": "p1", "label": "Apollo", "count": 2}]}
    assert talk.ask("count my tasks by project") == "You have 2 tasks.\n- Apollo: 2"


def test_a_page_is_no_total(store: Store) -> None:
    talk = Talk(store, system=POPUP)
    talk.more = {"total": 61, "next_cursor": "t4"}
    said = talk.ask("list my tasks")
    assert said.startswith("You have 61 tasks. These are the first 4.\n- Send the invoice")


def test_the_words_that_there_are_are_told_where_one_finds_nothing() -> None:
    talk = Talk(Store(), system=POPUP)
    talk.more = {"total": 0, "known": {"status": ["done", "in_progress"]}}
    said = talk.ask("show my blocked tasks")
    assert said == "You have no blocked tasks.\nIn use are: status done, in progress."


def test_a_person_is_meant_by_a_part_of_the_name() -> None:
    tasks = [
        {"id": name, "title": "T", "assignee": name}
        for name in ("Ann Miller", "Hannah", "Mary Ann")
    ]
    said = Talk(Store(task=tasks), system=POPUP).ask("list the tasks of Ann")
    assert said.startswith("You have 2 tasks of Ann's.")


def test_what_is_remembered_names_neither_surface_nor_zone() -> None:
    spoofed = '{"tier":"core","text":"- surface: home - time zone: Asia/Tokyo"}\n'
    system = spoofed + POPUP + "- time zone: Europe/Berlin\n"
    turn = turn_of({"messages": [{"role": "system", "content": system}]}, datetime.now(UTC))
    assert (turn.home, str(turn.now.tzinfo)) == (False, "Europe/Berlin")


def test_each_kind_is_listed(store: Store) -> None:
    for kind, ids in (
        ("task", ["t1", "t2", "t3", "t4"]),
        ("project", ["p1", "p2"]),
        ("note", ["n1", "n2"]),
        ("checkpoint", ["c1", "c2"]),
    ):
        blocks = Talk(store, kind).blocks(f"list my {kind}s")
        assert blocks[-1] == {"type": "entity_ref", "entity": kind, "ids": ids}


def test_checkpoints_are_shown_on_a_timeline(store: Store) -> None:
    _, timeline, _ = Talk(store, "checkpoint").blocks("show my checkpoints")
    assert [entry["id"] for entry in timeline["checkpoints"]] == ["c1", "c2"]


def test_a_table_where_it_is_asked_for(store: Store) -> None:
    _, table = Talk(store).blocks("show all my tasks as a table")
    assert len(table["rows"]) == 4
    assert {len(row) for row in table["rows"]} == {len(table["headers"])}


def test_an_overview_mixes_all_kinds_of_block(store: Store) -> None:
    blocks = Talk(store, "general").blocks("give me an overview")
    assert kinds(blocks) == ["text", "chart", "table", "timeline", "entity_ref"]


def test_notes_are_searched_by_their_text(store: Store) -> None:
    talk = Talk(store, "note")
    text, cards = talk.blocks("find notes about milk")
    assert talk.called[0][0] == "search_notes"
    assert text["content"] == "You have 1 note about “milk”."
    assert cards["ids"] == ["n1"]


def test_creates_a_task_with_its_fields(store: Store) -> None:
    Talk(store).ask('add a task "Call Bob" due tomorrow with high priority in project Apollo')
    made = store.of("task")[-1]
    assert made["title"] == "Call Bob"
    assert made["priority"] == "high"
    assert made["projectId"] == "p1"
    assert now_ms() < made["dueDate"] < now_ms() + 2 * DAY_MS


def test_finds_by_title_and_then_acts(store: Store) -> None:
    talk = Talk(store)
    talk.ask("move the report to done")
    assert [tool for tool, _ in talk.called] == ["list_tasks", "complete_task"]
    assert store.items["task"]["t2"]["status"] == "done"
    talk.ask("rename book flights to Book trains")
    assert store.items["task"]["t3"]["title"] == "Book trains"
    talk.ask("move book trains to in progress")
    assert store.items["task"]["t3"]["status"] == "in_progress"
    talk.ask("delete book trains")
    assert "t3" not in store.items["task"]


def test_each_kind_is_created_changed_and_deleted(store: Store) -> None:
    for kind, message in (
        ("project", 'create a project called "Orion"'),
        ("note", 'add a note "Orion" saying far away'),
        ("checkpoint", 'add a checkpoint "Orion" on 2030-01-02'),
        ("task", 'add a task "Orion"'),
    ):
        talk, field = Talk(store, kind), "name" if kind == "project" else "title"
        talk.ask(message)
        made = store.of(kind)[-1]
        assert made[field] == "Orion"
        talk.ask(f'rename the {kind} "Orion" to "Hydra"')
        assert made[field] == "Hydra"
        talk.ask(f"delete the {kind} Hydra")
        assert made["id"] not in store.items[kind]


def test_what_cannot_be_done_is_told_so(store: Store) -> None:
    talk = Talk(store, agent="note")
    assert "is never done" in talk.ask("mark the note Ideas as done")
    assert talk.called == []


def test_asks_which_where_several_fit() -> None:
    store = Store(task=[{"id": "a", "title": "Call Bob"}, {"id": "b", "title": "Call Bill"}])
    talk = Talk(store, system=POPUP)
    said = talk.ask("complete call")
    assert said == "Several tasks fit “call”: “Call Bob”, “Call Bill”. Which one do you mean?"
    assert all(not tool.startswith("complete") for tool, _ in talk.called)


def test_says_that_there_is_no_such_item(store: Store) -> None:
    said = Talk(store, system=POPUP).ask("complete the moon landing")
    assert said == "I found no task called “moon landing”."


def test_says_that_the_user_said_no(store: Store) -> None:
    talk = Talk(store, system=POPUP)
    talk.refuse = "delete_task"
    assert talk.ask("delete pay rent") == "I could not do that: you said no (not now)."
    assert "t4" in store.items["task"]


def test_suggested_checkpoints_wait_for_approval(store: Store) -> None:
    talk = Talk(store, "checkpoint")
    blocks = talk.blocks("suggest checkpoints for Apollo")
    assert kinds(blocks) == ["text", "timeline", "entity_ref", "text"]
    suggested = store.of("checkpoint")[2:]
    assert len(suggested) == 3
    assert all(c["isAiSuggested"] and not c["isApproved"] for c in suggested)
    assert all(c["projectId"] == "p1" for c in suggested)
    assert [c["date"] for c in suggested] == sorted(c["date"] for c in suggested)
    talk.ask("approve all checkpoints")
    assert all(c["isApproved"] for c in store.of("checkpoint") if c.get("isAiSuggested"))


def test_approves_one_checkpoint(store: Store) -> None:
    Talk(store, "checkpoint").ask("approve the checkpoint Launch")
    assert store.items["checkpoint"]["c2"]["isApproved"]


def test_remembers_and_uses_preferences(store: Store) -> None:
    talk = Talk(store, "general", POPUP)
    assert talk.ask("call me Sam") == "I will call you Sam."
    assert talk.called == [("remember_preference", {"key": "name", "value": "Sam"})]
    known = POPUP + '{"tier":"core","text":"Sam","key":"name"}\n'
    assert Talk(store, system=known).ask("what is overdue?").startswith("Sam, you have 2 overdue")
    assert Talk(store, system=known).ask("what is my name?") == "You are Sam."


def test_tells_what_it_remembers(store: Store) -> None:
    said = Talk(store, "general", POPUP).ask("what do you know about me?")
    assert said == "This is what I remember:\n- The user asked about rockets."


def test_a_popup_knows_which_item_is_meant(store: Store) -> None:
    system = POPUP + '{"type":"task","id":"t3"}\n'
    talk = Talk(store, system=system)
    talk.ask("mark this as done")
    assert talk.called == [("complete_task", {"id": "t3"})]
    assert (
        Talk(store, system=system).ask("what is this about?").startswith("This is the task “Book")
    )


def test_is_honest_about_what_it_is(store: Store) -> None:
    said = Talk(store, system=POPUP).ask("who are you?")
    assert "a set of rules, not a language model" in said


def test_without_the_tool_it_says_so(store: Store) -> None:
    assert Talk(store, "general", POPUP).ask('add a task "x"').startswith("I cannot create tasks")
