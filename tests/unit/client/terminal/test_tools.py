"""The tools of this device: what they return, what they change, and what they refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc.catalogue import CATALOGUE
from client.terminal import tools
from client.terminal.reading import TITLE, ToolError
from client.terminal.sample import DAY_MS, entities
from client.terminal.store import KINDS, Store
from switchboard.v3.frames_pb2 import MutationOp

NOW = 1_790_000_000_000
ON_DEVICE = [tool for tool in CATALOGUE.values() if not tool.runs_on_server]


def sample(now: int) -> Store:
    return Store(entities(now))


# Arguments that make each writing tool do something to the sample data.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "create_task": {"title": "Water the plants", "dueDate": NOW + DAY_MS},
    "create_project": {"name": "Garden"},
    "create_note": {"title": "Soil", "content": "Sandy."},
    "create_checkpoint": {"title": "Harvest", "date": NOW + DAY_MS},
    "update_task": {"id": "task-1", "assignee": None, "priority": "low"},
    "update_project": {"id": "project-app", "status": "completed"},
    "update_note": {"id": "note-1", "title": "Kick-off"},
    "update_checkpoint": {"id": "checkpoint-1", "date": NOW},
    "complete_task": {"id": "task-1"},
    "suggest_checkpoints": {"checkpoints": [{"title": "A", "date": 1}, {"title": "B", "date": 2}]},
    "approve_checkpoint": {"id": "checkpoint-2"},
    "search_notes": {"query": "budget"},
}


def arguments(name: str) -> dict[str, Any]:
    verb, _, kind = name.partition("_")
    first = {"project": "project-app"}.get(kind, f"{kind}-1")
    return ARGUMENTS.get(name, {} if verb == "list" else {"id": first})


def ids(store: Store, name: str, **filters: Any) -> list[str]:
    result = tools.run(store, name, filters, NOW).result
    return [item["id"] for item in result["items"]]


@pytest.fixture
def store() -> Store:
    return sample(NOW)


# Held against the catalogue


def test_the_device_has_every_tool_of_the_catalogue_and_no_other() -> None:
    assert set(tools.TOOLS) == {tool.name for tool in ON_DEVICE}


@pytest.mark.parametrize("tool", ON_DEVICE, ids=lambda tool: tool.name)
def test_results_have_the_shape_of_the_catalogue_and_effects_happen(tool: Any) -> None:
    store = sample(NOW)
    before = {kind: dict(store.entities[kind]) for kind in KINDS}
    outcome = tools.run(store, tool.name, arguments(tool.name), NOW)
    assert tool.fits(outcome.result)
    assert store.entities == before, "the tool itself changes nothing"
    assert {change.op for change in outcome.changes} == (
        set() if tool.effect is None else {MutationOp.Name(tool.effect).split("_")[-1].lower()}
    )
    assert tools.writes(tool.name) is (tool.effect is not None)
    store.apply(outcome.changes)
    for change in outcome.changes:
        assert store.get(change.kind, change.id) == change.data


@pytest.mark.parametrize("tool", [t for t in ON_DEVICE if t.name.startswith("list_")])
def test_every_filter_of_the_catalogue_narrows(tool: Any) -> None:
    impossible = {"string": "no such word", "boolean": True, "number": 0}
    for name, schema in tool.arguments["properties"].items():
        if name in ("limit", "cursor", "overdue") or name.endswith("After"):
            continue
        value = impossible[schema["type"]]
        if name == "isApproved":
            value = False
        assert ids(sample(NOW), tool.name, **{name: value}) == [], name


# Reading


def test_overdue_tasks_are_past_and_not_done_soonest_first(store: Store) -> None:
    assert ids(store, "list_tasks", overdue=True) == ["task-4", "task-1", "task-2", "task-3"]
    late = set(ids(store, "list_tasks", overdue=True))
    assert set(ids(store, "list_tasks", overdue=False)) == set(ids(store, "list_tasks")) - late


@pytest.mark.parametrize(
    "filters, expected",
    [
        ({"status": "IN_PROGRESS"}, ["task-2", "task-6"]),
        ({"projectId": "project-office"}, ["task-4", "task-9"]),
        ({"assignee": "alex", "priority": "high"}, ["task-2"]),
        ({"dueBefore": NOW - 10 * DAY_MS}, ["task-4"]),
        ({"dueAfter": NOW + 9 * DAY_MS}, ["task-9", "task-10"]),
        ({"query": "QUOTE acme"}, ["task-2"]),
        ({"query": "release", "status": None}, ["task-5"]),
        ({"limit": 2}, ["task-4", "task-7"]),
        ({"status": "blocked"}, []),
    ],
)
def test_task_filters(store: Store, filters: dict[str, Any], expected: list[str]) -> None:
    assert ids(store, "list_tasks", **filters) == expected


def test_a_task_without_a_date_stands_last_and_is_never_overdue(store: Store) -> None:
    assert ids(store, "list_tasks")[-1] == "task-11"


def test_checkpoints_and_notes_are_filtered_by_their_own_times(store: Store) -> None:
    assert ids(store, "list_checkpoints", dateAfter=NOW, dateBefore=NOW + 10 * DAY_MS) == [
        "checkpoint-2"
    ]
    assert ids(store, "list_notes", createdAfter=NOW - 4 * DAY_MS) == ["note-4", "note-3"]


def test_notes_are_found_by_any_word_best_first(store: Store) -> None:
    assert ids(store, "search_notes", query="crash search phones") == ["note-3", "note-2"]
    assert ids(store, "search_notes", query="crash", projectId="project-website") == []
    assert ids(store, "search_notes", query="zebra") == []


def test_reading_one_that_is_not_there_gives_no_items(store: Store) -> None:
    assert ids(store, "get_task", id="task-1") == ["task-1"]
    assert ids(store, "get_task", id="nope") == []


# Writing


def test_a_new_task_gets_an_id_and_defaults(store: Store) -> None:
    item = tools.run(store, "create_task", {"title": "X", "colour": "red"}, NOW).result["item"]
    other = tools.run(store, "create_task", {"title": "X", "id": "task-1"}, NOW).result["item"]
    assert item == {
        "id": item["id"],
        "title": "X",
        "status": "todo",
        "priority": "medium",
        "colour": "red",
    }
    assert len({item["id"], other["id"], "task-1"}) == 3


def test_an_update_changes_what_is_given_and_null_empties(store: Store) -> None:
    old = store.get("task", "task-1")
    new = tools.run(store, "update_task", {"id": "task-1", "assignee": None}, NOW).result["item"]
    assert old is not None and old["assignee"] == "Sam"
    assert new == {**old, "assignee": None}


def test_suggested_checkpoints_wait_for_approval(store: Store) -> None:
    outcome = tools.run(store, "suggest_checkpoints", ARGUMENTS["suggest_checkpoints"], NOW)
    store.apply(outcome.changes)
    waiting = ids(store, "list_checkpoints", isAiSuggested=True, isApproved=False)
    assert waiting == [item["id"] for item in outcome.result["items"]]
    store.apply(tools.run(store, "approve_checkpoint", {"id": waiting[0]}, NOW).changes)
    assert ids(store, "list_checkpoints", isApproved=False) == waiting[1:]


@pytest.mark.parametrize(
    "name, values, code",
    [
        ("delete_everything", {}, "unknown_tool"),
        ("update_task", {"id": "nope", "title": "X"}, "not_found"),
        ("delete_note", {"id": ["note-1"]}, "not_found"),
        ("complete_task", {}, "not_found"),
        ("create_task", {}, "invalid_arguments"),
        ("create_task", {"title": "  "}, "invalid_arguments"),
        ("create_task", {"title": "X", "dueDate": "tomorrow"}, "invalid_arguments"),
        ("create_task", {"title": "X", "dueDate": float("nan")}, "invalid_arguments"),
        ("update_task", {"id": "task-1", "title": None}, "invalid_arguments"),
        ("create_note", {"title": "X", "content": "x" * 100_001}, "invalid_arguments"),
        ("suggest_checkpoints", {"checkpoints": []}, "invalid_arguments"),
    ],
)
def test_what_would_harm_the_store_is_refused(
    store: Store, name: str, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(ToolError) as refused:
        tools.run(store, name, values, NOW)
    assert refused.value.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["id", "title", "name", "dueDate", "date", "limit", "query", "checkpoints"])


@given(st.sampled_from(sorted(tools.TOOLS)), st.dictionaries(KEYS | st.text(), JSON))
def test_no_arguments_do_more_than_be_refused(name: str, values: dict[str, Any]) -> None:
    store = sample(NOW)
    try:
        store.apply(tools.run(store, name, values, NOW).changes)
    except ToolError:
        assert store == sample(NOW)
    for kind in KINDS:
        for key, item in store.entities[kind].items():
            assert item["id"] == key and str(item[TITLE[kind]]).strip()
