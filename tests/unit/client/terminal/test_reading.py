"""Pages, counts, and what is told where a filter finds nothing."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_svc.catalogue import CATALOGUE
from client.terminal import reading, tools
from client.terminal.reading import ToolError
from client.terminal.sample import DAY_MS, entities
from client.terminal.store import Store

NOW = 1_790_000_000_000


@pytest.fixture
def store() -> Store:
    return Store(entities(NOW))


def many(count: int) -> Store:
    tasks = {f"t{n:03}": {"id": f"t{n:03}", "title": "T", "dueDate": n} for n in range(count)}
    notes = {
        f"n{n:03}": {"id": f"n{n:03}", "title": "same words", "createdAt": 1} for n in range(count)
    }
    return Store({"task": tasks, "project": {}, "note": notes, "checkpoint": {}})


# Pages


def test_fifty_come_where_no_limit_is_given_and_two_hundred_at_most() -> None:
    store = many(230)
    page = reading.listed(store, "task", {}, NOW)
    assert (len(page["items"]), page["total"], page["next_cursor"]) == (50, 230, "t049")
    page = reading.listed(store, "task", {"limit": 1000}, NOW)
    assert (len(page["items"]), page["total"], page["next_cursor"]) == (200, 230, "t199")


def test_the_last_page_names_no_next() -> None:
    page = reading.listed(many(60), "task", {"cursor": "t049"}, NOW)
    assert [item["id"] for item in page["items"]] == [f"t{n:03}" for n in range(50, 60)]
    assert page["total"] == 60 and "next_cursor" not in page
    assert "next_cursor" not in reading.listed(many(50), "task", {}, NOW)


def test_a_cursor_whose_item_is_gone_is_told_so(store: Store) -> None:
    with pytest.raises(ToolError, match="begin again without a cursor") as gone:
        tools.run(store, "list_tasks", {"cursor": "nope"}, NOW)
    assert gone.value.code == "invalid_cursor"


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 12), st.sampled_from(["list_tasks", "search_notes"]))
def test_pages_hold_everything_once_and_in_order(count: int, limit: int, name: str) -> None:
    store, seen, asked = many(count), list[str](), {"limit": limit, "query": "same t"}
    asked = asked if name == "search_notes" else {"limit": limit}
    cursor: dict[str, Any] = {}
    for _ in range(count + 1):
        page = tools.run(store, name, {**asked, **cursor}, NOW).result
        assert CATALOGUE[name].fits(page) and page["total"] == count
        seen += [item["id"] for item in page["items"]]
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [f"{'n' if name == 'search_notes' else 't'}{n:03}" for n in range(count)]


# Words


def test_words_that_nothing_has_are_answered_with_those_that_there_are(store: Store) -> None:
    page = reading.listed(store, "task", {"status": "open", "priority": "urgent"}, NOW)
    assert page == {
        "items": [],
        "total": 0,
        "known": {"status": ["done", "in_progress", "todo"], "priority": ["high", "low", "medium"]},
    }
    page = reading.listed(store, "project", {"status": "done"}, NOW)
    assert page["known"] == {"status": ["active", "on_hold"]}
    page = reading.listed(store, "note", {"projectId": "Office move"}, NOW)
    assert page["known"] == {"projectId": ["project-app", "project-office", "project-website"]}
    store.entities["project"]["new"] = {"id": "new", "name": "New"}
    assert "known" not in reading.listed(store, "note", {"projectId": "new"}, NOW)
    assert reading.counted(store, {"assignee": "Zoe"}, NOW)["known"] == {
        "assignee": ["Alex", "Robin", "Sam"]
    }


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"status": "TODO"},
        {"status": "done", "overdue": True},  # a word that there is, and yet nothing is found
        {"query": "zebra"},
        {"status": "", "assignee": None},
        {"status": "In progress", "priority": "HIGH"},
    ],
)
def test_nothing_is_told_where_the_words_are_right(store: Store, filters: dict[str, Any]) -> None:
    assert "known" not in reading.listed(store, "task", filters, NOW)


def test_an_empty_store_knows_no_words() -> None:
    assert reading.listed(many(0), "task", {"status": "x"}, NOW) == {"items": [], "total": 0}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Ann", ["Ann Miller", "Anna Berg", "Mary Ann"]),
        ("ann m", ["Ann Miller", "Mary Ann"]),
        ("MILLER", ["Ann Miller"]),
        ("Ann Miller", ["Ann Miller"]),
        ("nn", []),
        ("", ["Ann Miller", "Anna Berg", "Mary Ann", "Bo"]),
    ],
)
def test_a_person_is_found_by_the_beginning_of_a_name(asked: str, found: list[str]) -> None:
    names = ["Ann Miller", "Anna Berg", "Mary Ann", "Bo", None]
    tasks = {str(n): {"id": str(n), "title": "T", "assignee": a} for n, a in enumerate(names)}
    store = Store({"task": tasks, "project": {}, "note": {}, "checkpoint": {}})
    items = reading.listed(store, "task", {"assignee": asked}, NOW)["items"]
    assert [item["assignee"] for item in items if item["assignee"]] == found


# Counts


@pytest.mark.parametrize(
    ("arguments", "total", "counts"),
    [
        ({}, 11, None),
        ({"status": "todo", "assignee": "sam"}, 3, None),
        ({"by": "status"}, 11, [("todo", 7), ("done", 2), ("in_progress", 2)]),
        ({"by": "priority", "overdue": True}, 4, [("high", 2), ("low", 1), ("medium", 1)]),
        ({"by": "assignee"}, 11, [("Robin", 4), ("Sam", 4), ("Alex", 3)]),
        (
            {"by": "project"},
            11,
            [("project-app", 4), ("project-website", 4), ("project-office", 2), (None, 1)],
        ),
    ],
)
def test_tasks_are_counted(
    store: Store, arguments: dict[str, Any], total: int, counts: list[tuple[str, int]] | None
) -> None:
    result = tools.run(store, "count_tasks", arguments, NOW).result
    assert result["total"] == total
    if counts is None:
        assert "counts" not in result
    else:
        assert [(one["value"], one["count"]) for one in result["counts"]] == counts


def test_projects_are_counted_with_their_names(store: Store) -> None:
    counts = reading.counted(store, {"by": "project"}, NOW)["counts"]
    assert counts[0] == {"value": "project-app", "label": "Mobile app", "count": 4}


def test_weeks_are_told_by_their_monday_in_their_order(store: Store) -> None:
    counts = reading.counted(store, {"by": "week"}, NOW)["counts"]
    *weeks, none = [one["value"] for one in counts]
    assert none is None and weeks == sorted(weeks)
    assert all(datetime.fromisoformat(week).weekday() == 0 for week in weeks)
    first = datetime.fromtimestamp((NOW - 12 * DAY_MS) / 1000).astimezone().date()
    assert 0 <= (first - datetime.fromisoformat(weeks[0]).date()).days < 7


@settings(deadline=None)
@given(
    st.sampled_from([None, *reading.COUNTED_BY]),
    st.sampled_from([{}, {"overdue": True}, {"status": "done"}, {"query": "the"}]),
)
def test_the_groups_add_up_to_the_total(by: str | None, filters: dict[str, Any]) -> None:
    store = Store(entities(NOW))
    result = reading.counted(store, filters | {"by": by}, NOW)
    assert CATALOGUE["count_tasks"].fits(result)
    assert result["total"] == reading.listed(store, "task", filters, NOW)["total"]
    if by is not None:
        assert sum(one["count"] for one in result["counts"]) == result["total"]


def test_tasks_are_counted_by_nothing_else(store: Store) -> None:
    with pytest.raises(ToolError, match="counted by status, project, assignee, priority, week"):
        tools.run(store, "count_tasks", {"by": "title"}, NOW)
