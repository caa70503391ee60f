"""Tables, timelines and references: what passes, and what it becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatter_svc import blocks
from formatter_svc.blocks import EntityRef
from formatter_svc.reasons import Invalid, Reason
from formatter_svc.timelines import zone_of
from switchboard.v3.blocks_pb2 import Table, Timeline
from tests.support.answers import as_contract

GOOD_TABLES: list[dict[str, Any]] = [
    {"headers": ["a"], "rows": []},
    {"headers": ["a", "b"], "rows": [["x", 1], [True, None], [1.5, ""]]},
    {"headers": [""] * 50, "rows": [[0] * 50]},
    {"headers": ["a", "b"], "rows": [[36893488147419103232.0, 18446744073709551615]]},
]


@pytest.mark.parametrize("value", GOOD_TABLES)
def test_good_tables(value: dict[str, Any]) -> None:
    data = blocks.table({"type": "table", "title": None, "more": 1, **value})
    assert orjson.loads(data) == value
    as_contract(data, Table())


TABLES: list[tuple[dict[str, Any], list[str], list[list[Any]]]] = [
    # Widths: short rows are padded, long ones bring a column without a name.
    ({"headers": ["a", "b"], "rows": [[1, 2], [1]]}, ["a", "b"], [[1, 2], [1, None]]),
    ({"headers": ["a"], "rows": [[1, 2], [3]]}, ["a", ""], [[1, 2], [3, None]]),
    ({"headers": ["a"], "rows": [[]]}, ["a"], [[None]]),
    # No rows: the empty table.
    ({"headers": ["a"]}, ["a"], []),
    ({"headers": ["a"], "rows": None}, ["a"], []),
    # Cells.
    ({"headers": ["a"], "rows": [[["x", "y", 3]]]}, ["a"], [["x, y, 3"]]),
    ({"headers": ["a"], "rows": [[[]], [{}]]}, ["a"], [[""], [""]]),
    ({"headers": ["a"], "rows": [[{"id": 7, "name": "Ann"}]]}, ["a"], [["Ann"]]),
    ({"headers": ["a"], "rows": [[{"x": 1, "y": True}]]}, ["a"], [["x: 1, y: true"]]),
    ({"headers": ["a"], "rows": [[[{"name": "Ann"}, None]]]}, ["a"], [["Ann"]]),
    ({"headers": ["a"], "rows": ["x", 3, None]}, ["a"], [["x"], [3], [None]]),
    ({"headers": ["a"], "rows": [[2**70]]}, ["a"], [["1180591620717411303424"]]),
    # Headings.
    ({"headers": [2025, None, True], "rows": [[1, 2, 3]]}, ["2025", "", "true"], [[1, 2, 3]]),
    ({"header": ["a"], "values": [[1]]}, ["a"], [[1]]),
    ({"cols": ["a"], "data": [[1]]}, ["a"], [[1]]),
    (
        {
            "columns": [{"key": "t", "title": "Task"}, {"accessorKey": "d", "header": "Due"}],
            "data": [{"d": "Fri", "t": "Ship"}],
        },
        ["Task", "Due"],
        [["Ship", "Fri"]],
    ),
    (
        {"columns": [{"header": "A", "values": [1, 2]}, {"header": "B", "values": [3]}]},
        ["A", "B"],
        [[1, 3], [2, None]],
    ),
    ({"headers": {"t": "Task"}, "rows": [{"t": "Ship"}]}, ["Task"], [["Ship"]]),
    # Rows as objects: by heading, by a key that is like it, by place, and what is new.
    ({"headers": ["a"], "rows": [{"a": 1}]}, ["a"], [[1]]),
    ({"headers": ["a"], "rows": {"a": 1}}, ["a"], [[1]]),
    ({"headers": ["Due Date"], "rows": [{"dueDate": 1}]}, ["Due Date"], [[1]]),
    (
        {"headers": ["Task", "Due"], "rows": [{"title": "Ship", "deadline": "Fri"}]},
        ["Task", "Due"],
        [["Ship", "Fri"]],
    ),
    (
        {"headers": ["Task"], "rows": [{"task": "Ship", "due": "Fri"}, {"task": "Test"}]},
        ["Task", "due"],
        [["Ship", "Fri"], ["Test", None]],
    ),
    ({"rows": [{"a": 1}, {"b": 2}]}, ["a", "b"], [[1, None], [None, 2]]),
    ({"rows": [{"状態": "完了"}]}, ["状態"], [["完了"]]),
    ({"headers": ["a", "b"], "rows": [{"cells": [1, 2]}]}, ["a", "b"], [[1, 2]]),
    # Columns, maps, a table inside.
    ({"data": {"a": [1, 2], "b": [3, 4]}}, ["a", "b"], [[1, 3], [2, 4]]),
    ({"headers": ["k", "v"], "rows": {"x": 1, "y": 2}}, ["k", "v"], [["x", 1], ["y", 2]]),
    ({"data": {"headers": ["a"], "rows": [[1]]}}, ["a"], [[1]]),
    ({"table": {"columns": ["a"], "data": [[1]]}}, ["a"], [[1]]),
    (
        {"headers": ["a", "b"], "rows": ["x | y", "| 1 | z |", "x"]},
        ["a", "b"],
        [["x", "y"], ["1", "z"], ["x", None]],
    ),
    # Headings out of the first row, where it is one.
    ({"rows": [["Task", "Due"], ["Ship", "Fri"]]}, ["Task", "Due"], [["Ship", "Fri"]]),
    ({"rows": [["Task", "2025"], ["Ship", 3]]}, ["Task", "2025"], [["Ship", 3]]),
    ({"rows": [["Ship", 3], ["Test", 4]]}, ["", ""], [["Ship", 3], ["Test", 4]]),
    ({"rows": [["Ship", "3 h"], ["Test", "4 h"]]}, ["", ""], [["Ship", "3 h"], ["Test", "4 h"]]),
]


@pytest.mark.parametrize(("value", "headers", "rows"), TABLES)
def test_tables_in_other_shapes(
    value: dict[str, Any], headers: list[str], rows: list[list[Any]]
) -> None:
    data = blocks.table(value)
    assert orjson.loads(data) == {"headers": headers, "rows": rows}
    as_contract(data, Table())
    assert blocks.table(orjson.loads(data)) == data


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, Reason.BAD_TABLE),
        ({"headers": [], "rows": []}, Reason.BAD_TABLE),
        ({"headers": ["a"], "rows": "x"}, Reason.BAD_TABLE),
        ({"headers": ["a"], "rows": 1}, Reason.BAD_TABLE),
        ({"headers": "ab", "rows": []}, Reason.BAD_TABLE),
        ({"headers": ["a"] * 51, "rows": []}, Reason.TABLE_TOO_WIDE),
        ({"headers": ["a"], "rows": [[1] * 51]}, Reason.TABLE_TOO_WIDE),
        ({"rows": [{f"k{n}": 1} for n in range(51)]}, Reason.TABLE_TOO_WIDE),
        ({"headers": ["a"] * 50, "rows": [[]] * 3000}, Reason.TOO_LARGE),
        ({"data": {"a": [1] * 70_000, "b": []}}, Reason.TOO_LARGE),
        ({"rows": [["\x00" * 200_000]]}, Reason.TOO_LARGE),
    ],
)
def test_what_is_no_table_is_told_why(value: dict[str, object], reason: Reason) -> None:
    with pytest.raises(Invalid) as caught:
        blocks.table(value)
    assert caught.value.reason == reason


POINT = {"id": "c1", "title": "Launch", "date": 1735689600000}


BAD_FIELDS: list[dict[str, object]] = [
    {"title": None},
    {"title": ""},
    {"title": []},
    {"date": None},
    {"date": "soon"},
    {"date": "2025-02-30"},
    {"date": "01/02/2025"},
    {"date": True},
    {"date": []},
    {"date": "10000-01-01"},
]


@pytest.mark.parametrize("date", [1735689600000, 0, -1, 1.5, 1e21, 10])
def test_a_date_is_passed_on_unchanged(date: float) -> None:
    data = blocks.timeline({"checkpoints": [{**POINT, "date": date, "more": 1}, POINT]})
    assert orjson.loads(data) == {"checkpoints": [{**POINT, "date": date}, POINT]}
    assert str(date).encode() in data.replace(b"1e21", b"1e+21")
    as_contract(data, Timeline())


@pytest.mark.parametrize("bad", [*BAD_FIELDS, None, 3, "c1"])
def test_a_bad_entry_is_dropped_alone(bad: Any) -> None:
    broken = {**POINT, **bad} if isinstance(bad, dict) else bad
    assert points({"checkpoints": [broken, POINT, broken]}) == [POINT]
    with pytest.raises(Invalid) as caught:
        blocks.timeline({"checkpoints": [broken]})
    assert caught.value.reason == Reason.BAD_TIMELINE


@pytest.mark.parametrize("value", [{}, {"checkpoints": None}, {"checkpoints": []}, {"items": "x"}])
def test_bad_timelines(value: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        blocks.timeline(value)
    assert caught.value.reason == Reason.BAD_TIMELINE


def points(value: dict[str, Any], zone: str = "UTC") -> list[dict[str, Any]]:
    data = blocks.timeline(value, ZoneInfo(zone))
    as_contract(data, Timeline())
    assert blocks.timeline(orjson.loads(data), ZoneInfo(zone)) == data
    found: list[dict[str, Any]] = orjson.loads(data)["checkpoints"]
    return found


def date_of(written: object, zone: str = "Europe/Berlin") -> str:
    [point] = points({"checkpoints": [{**POINT, "date": written}]}, zone)
    return datetime.fromtimestamp(point["date"] / 1000, UTC).isoformat().removesuffix("+00:00")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-05", "2026-01-04T23:00:00"),
        ("2026-07-05", "2026-07-04T22:00:00"),
        ("2026-01-05T14:00", "2026-01-05T13:00:00"),
        ("2026-01-05 14:00:30", "2026-01-05T13:00:30"),
        ("2026-01-05T14:00:00.250", "2026-01-05T13:00:00.250000"),
        ("2026-01-05T14:00Z", "2026-01-05T14:00:00"),
        ("2026-01-05T14:00:00 +02:00", "2026-01-05T12:00:00"),
        ("2026-01-05T14:00+0200", "2026-01-05T12:00:00"),
        ("2026-01-05T14:00-03", "2026-01-05T17:00:00"),
        ("2026-01-05 14:00 UTC", "2026-01-05T14:00:00"),
        ("2026/1/5", "2026-01-04T23:00:00"),
        ("2026-01", "2025-12-31T23:00:00"),
        ("20260105", "2026-01-04T23:00:00"),
        ("5.1.2026", "2026-01-04T23:00:00"),
        ("5 January 2026", "2026-01-04T23:00:00"),
        ("Jan 5th, 2026", "2026-01-04T23:00:00"),
        (" 2026-01-05 ", "2026-01-04T23:00:00"),
        ("1767571200000", "2026-01-05T00:00:00"),
        # The night in which the clocks are put on, and the one in which an hour comes twice.
        ("2026-03-29T02:30", "2026-03-29T01:30:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00"),
    ],
)
def test_a_written_date_is_one_of_the_users_zone(written: str, moment: str) -> None:
    assert date_of(written) == moment


def test_an_unknown_zone_is_utc() -> None:
    assert [zone_of(name) for name in ("", "Mars/Olympus", "Europe", "../x")] == [
        *(ZoneInfo("UTC"), UTC, UTC, UTC)
    ]
    assert zone_of("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")


def test_an_entry_without_an_id_has_one_of_its_place() -> None:
    bare = {"title": "A", "date": 1}
    given = [bare, {**bare, "id": "checkpoint-3"}, {**bare, "id": 7}, {**bare, "id": ""}, bare]
    assert [point["id"] for point in points({"checkpoints": given})] == [
        *("checkpoint-1", "checkpoint-3", "7", "checkpoint-4", "checkpoint-5")
    ]
    taken = [bare, {**bare, "id": "checkpoint-1"}]
    assert [point["id"] for point in points({"checkpoints": taken})] == [
        *("checkpoint-1-", "checkpoint-1")
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"items": [{"id": "x", "title": "A", "date": 5}]},
        {"events": [{"id": "x", "name": "A", "when": 5}]},
        {"milestones": [{"id": "x", "label": "A", "dueDate": "1970-01-01T00:00:00.005Z"}]},
        {"checkpoints": {"id": "x", "title": "A", "date": 5}},
        {"checkpoints": {"A": {"id": "x", "date": 5}}},
        {"timeline": [{"id": "x", "event": "A", "timestamp": 5, "title": None}]},
    ],
)
def test_timelines_in_other_shapes(value: dict[str, Any]) -> None:
    assert points(value) == [{"id": "x", "title": "A", "date": 5}]


@pytest.mark.parametrize(
    "checkpoints",
    [
        {"1970-01-02": "A"},
        [["1970-01-02", "A"]],
        [["A", "1970-01-02"]],
        ["1970-01-02: A"],
        ["A – 1970-01-02"],
    ],
)
def test_entries_without_keys(checkpoints: object) -> None:
    assert points({"checkpoints": checkpoints}) == [
        {"id": "checkpoint-1", "title": "A", "date": 86_400_000}
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"entity": "task"}, EntityRef("task", None)),
        ({"entity": "note", "id": None, "ids": None}, EntityRef("note", None)),
        ({"entity": "project", "id": "p"}, EntityRef("project", ("p",))),
        ({"entity": "project", "id": "p", "ids": None}, EntityRef("project", ("p",))),
        ({"entity": "checkpoint", "ids": ["b", "a", "b"]}, EntityRef("checkpoint", ("b", "a"))),
        ({"entity": "task", "id": "a", "ids": ["b", "a"]}, EntityRef("task", ("a", "b"))),
        ({"entity": "Tasks"}, EntityRef("task", None)),
        ({"entity": " NOTE "}, EntityRef("note", None)),
        ({"entity": "milestones"}, EntityRef("checkpoint", None)),
        ({"entityType": "task", "id": "a"}, EntityRef("task", ("a",))),
        ({"kind": "project"}, EntityRef("project", None)),
        ({"entity": "task", "ids": "a"}, EntityRef("task", ("a",))),
        ({"entity": "task", "ids": "a, b"}, EntityRef("task", ("a", "b"))),
        ({"entity": "task", "id": "a,b"}, EntityRef("task", ("a,b",))),
        ({"entity": "task", "id": 1, "ids": [2, "1"]}, EntityRef("task", ("1", "2"))),
        ({"entity": "task", "id": ["a"]}, EntityRef("task", ("a",))),
        ({"entity": "task", "ids": ["a", None, ""]}, EntityRef("task", ("a",))),
        ({"entity": "task", "ids": [{"id": "a", "title": "x"}]}, EntityRef("task", ("a",))),
        ({"entity": "task", "taskIds": ["a"]}, EntityRef("task", ("a",))),
        ({"entity": "task", "entity_id": "a"}, EntityRef("task", ("a",))),
        ({"entity": "note", "taskIds": ["a"]}, EntityRef("note", None)),
    ],
)
def test_references(value: dict[str, object], expected: EntityRef) -> None:
    assert blocks.entity_ref(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"entity": None},
        {"entity": "client"},
        {"entity": ["task"]},
        {"entity": {"task": 1}},
        {"entity": "task", "id": ""},
        {"entity": "task", "id": True},
        {"entity": "task", "id": 1.5},
        {"entity": "task", "ids": []},
        {"entity": "task", "ids": {}},
        {"entity": "task", "ids": [[["a"]]]},
    ],
)
def test_bad_references(value: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        blocks.entity_ref(value)
    assert caught.value.reason == Reason.BAD_ENTITY_REF


# Whatever comes in.

names = st.sampled_from(
    [
        *("headers", "rows", "columns", "data", "cells", "values", "key", "title", "label", "a"),
        *("checkpoints", "items", "date", "id", "name", "when", "Due Date", "dueDate", "", "__x"),
        *("entity", "ids", "taskIds", "item"),
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "x", "a | b", "2026-01-05", "0001-01-01", "9999-12-31", "31.2.2026"])
    | st.sampled_from(["Jan 5, 2026", "A: 2026-01-05", "task", "Notes", "12", "1767571200000"])
    | st.text(max_size=5)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)
values = st.dictionaries(names, json_values, max_size=5)


@given(values)
def test_whatever_is_shown_as_a_table_is_one_and_stays_it(value: dict[str, Any]) -> None:
    try:
        data = blocks.table(value)
    except Invalid:
        return
    as_contract(data, Table())
    made = orjson.loads(data)
    assert 1 <= len(made["headers"]) <= 50
    assert all(isinstance(header, str) for header in made["headers"])
    for row in made["rows"]:
        assert len(row) == len(made["headers"])
        assert all(cell is None or isinstance(cell, str | int | float) for cell in row)
    assert blocks.table(made) == data


@given(values, st.sampled_from(["UTC", "Pacific/Kiritimati", "America/St_Johns"]))
def test_whatever_is_shown_as_a_timeline_is_one_and_stays_it(
    value: dict[str, Any], zone: str
) -> None:
    try:
        data = blocks.timeline(value, ZoneInfo(zone))
    except Invalid:
        return
    as_contract(data, Timeline())
    made = orjson.loads(data)
    assert made["checkpoints"]
    for point in made["checkpoints"]:
        assert isinstance(point["id"], str)
        assert point["id"]
        assert isinstance(point["title"], str)
        assert isinstance(point["date"], int | float)
    assert blocks.timeline(made, ZoneInfo(zone)) == data


@given(values)
def test_a_reference_names_ids_or_none(value: dict[str, Any]) -> None:
    try:
        ref = blocks.entity_ref(value)
    except Invalid:
        return
    assert ref.ids is None or (ref.ids and all(isinstance(each, str) and each for each in ref.ids))
