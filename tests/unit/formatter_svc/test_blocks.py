"""Tables, timelines and references: what passes, and what it becomes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from formatter_svc import blocks
from formatter_svc.blocks import EntityRef
from formatter_svc.reasons import Invalid, Reason
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


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"headers": ["a"]},
        {"headers": None, "rows": []},
        {"headers": [], "rows": []},
        {"headers": ["a"] * 51, "rows": []},
        {"headers": "ab", "rows": []},
        {"headers": [1], "rows": []},
        {"headers": [None], "rows": []},
        {"headers": ["a"], "rows": None},
        {"headers": ["a"], "rows": {"a": 1}},
        {"headers": ["a"], "rows": ["x"]},
        {"headers": ["a"], "rows": [{"a": 1}]},
        {"headers": ["a"], "rows": [[]]},
        {"headers": ["a"], "rows": [[1, 2]]},
        {"headers": ["a", "b"], "rows": [[1, 2], [1]]},
        {"headers": ["a"], "rows": [[[]]]},
        {"headers": ["a"], "rows": [[{}]]},
    ],
)
def test_bad_tables(value: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        blocks.table(value)
    assert caught.value.reason == Reason.BAD_TABLE


POINT = {"id": "c1", "title": "Launch", "date": 1735689600000}


BAD_FIELDS: list[dict[str, object]] = [
    {"id": None},
    {"id": 1},
    {"title": None},
    {"title": 1},
    {"date": None},
    {"date": "2025-01-01"},
    {"date": "1735689600000"},
    {"date": True},
    {"date": []},
]


@pytest.mark.parametrize("date", [1735689600000, 0, -1, 1.5, 1e21, 10])
def test_a_date_is_passed_on_unchanged(date: float) -> None:
    data = blocks.timeline({"checkpoints": [{**POINT, "date": date, "more": 1}, POINT]})
    assert orjson.loads(data) == {"checkpoints": [{**POINT, "date": date}, POINT]}
    assert str(date).encode() in data.replace(b"1e21", b"1e+21")
    as_contract(data, Timeline())


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"checkpoints": None},
        {"checkpoints": []},
        {"checkpoints": POINT},
        {"checkpoints": ["c1"]},
        *({"checkpoints": [POINT, {**POINT, **bad}]} for bad in BAD_FIELDS),
        *({"checkpoints": [{k: v for k, v in POINT.items() if k != gone}]} for gone in POINT),
    ],
)
def test_bad_timelines(value: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        blocks.timeline(value)
    assert caught.value.reason == Reason.BAD_TIMELINE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"entity": "task"}, EntityRef("task", None)),
        ({"entity": "note", "id": None, "ids": None}, EntityRef("note", None)),
        ({"entity": "project", "id": "p"}, EntityRef("project", ("p",))),
        ({"entity": "project", "id": "p", "ids": None}, EntityRef("project", ("p",))),
        ({"entity": "checkpoint", "ids": ["b", "a", "b"]}, EntityRef("checkpoint", ("b", "a"))),
        ({"entity": "task", "id": "a", "ids": ["b", "a"]}, EntityRef("task", ("a", "b"))),
    ],
)
def test_references(value: dict[str, object], expected: EntityRef) -> None:
    assert blocks.entity_ref(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"entity": None},
        {"entity": "tasks"},
        {"entity": "Task"},
        {"entity": ["task"]},
        {"entity": {"task": 1}},
        {"entity": "task", "id": 1},
        {"entity": "task", "id": ""},
        {"entity": "task", "ids": []},
        {"entity": "task", "ids": "a"},
        {"entity": "task", "ids": ["a", 1]},
        {"entity": "task", "ids": ["a", None]},
        {"entity": "task", "id": "a", "ids": {}},
    ],
)
def test_bad_references(value: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        blocks.entity_ref(value)
    assert caught.value.reason == Reason.BAD_ENTITY_REF
