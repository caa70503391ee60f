"""Acceptance: a token stream in, exact frames out, for each block and each bad block."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from formatter_svc.frames import HomeFormatter, PopupFormatter, formatter
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.formatter_pb2 import FormatStart, FormatToolResult
from switchboard.v3.frames_pb2 import (
    DataResponse,
    Domain,
    PopupDomain,
    ServerFrame,
    StreamBlock,
    StreamText,
)
from switchboard.v3.values_pb2 import Json

REQUEST = "6f0f7b0e-6a5c-4c39-8a52-0d6cb2b9b0a1"
TASKS = [
    {
        "id": "t1",
        "title": "File taxes",
        "status": "todo",
        "dueDate": 1735689600000,
        "mine": {"x": 1},
    },
    {"id": "t2", "title": "Call Sam", "status": "done"},
]


def text(chunk: str) -> ServerFrame:
    return ServerFrame(stream_text=StreamText(request_id=REQUEST, chunk=chunk))


def block(kind: str, data: object) -> ServerFrame:
    return ServerFrame(
        stream_block=StreamBlock(
            request_id=REQUEST,
            block_type=BlockType.Value(f"BLOCK_TYPE_{kind.upper()}"),
            data=Json(utf8=orjson.dumps(data)),
        )
    )


def tasks_result() -> FormatToolResult:
    items = Json(utf8=orjson.dumps({"items": TASKS}))
    return FormatToolResult(entity=EntityKind.ENTITY_KIND_TASK, result=items)


def home(tokens: list[str], *, device_connected: bool = False) -> tuple[list[ServerFrame], Any]:
    formatter = HomeFormatter(REQUEST, device_connected=device_connected)
    formatter.tool_result(tasks_result())
    frames = formatter.open()
    for token in tokens:
        frames += formatter.text([token])
    frames += formatter.close()
    assert formatter.done
    return frames, dict(formatter.skipped)


def of(value: object) -> list[str]:
    """An answer of one object, a character a token."""
    return list(orjson.dumps(value).decode())


def test_text_word_by_word() -> None:
    tokens = ["[", '{"type', '":"text","content":"', "You", " have", " two", '."}', "]"]
    assert home(tokens) == ([text("You"), text(" have"), text(" two"), text(".")], {})


def test_text_with_escapes_is_never_cut_within_one() -> None:
    tokens = ['{"type":"text","content":"a\\', "n\\u00", "e9 \\ud83d", '\\ude00 \\ud83d!"}']
    assert home(tokens) == ([text("a"), text("\n"), text("é "), text("😀 \ufffd!")], {})


def test_prose_is_text() -> None:
    assert home(["Sure", ", here", " {you} go"]) == (
        [text("Sure"), text(", here"), text(" {you} go")],
        {},
    )


CHART = {
    "type": "chart",
    "chartType": "bar",
    "title": "Tasks by status",
    "data": [{"status": "todo", "count": "3"}, {"status": "done", "count": 5}],
    "config": {"count": {"label": "Tasks", "color": "var(--chart-1)", "icon": "Check"}},
}
CHART_DATA = {
    "chartType": "bar",
    "title": "Tasks by status",
    "data": [{"status": "todo", "count": 3}, {"status": "done", "count": 5}],
    "config": {"count": {"label": "Tasks", "color": "var(--chart-1)"}},
}
PIE = {
    "type": "chart",
    "chartType": "pie",
    "title": "Share",
    "data": [{"status": "todo", "n": 3}, {"status": "in progress", "n": 1}],
    "config": None,
}
PIE_DATA = {
    "chartType": "pie",
    "title": "Share",
    "data": [
        {"status": "todo", "n": 3},
        {"status": "in progress", "n": 1, "fill": "var(--chart-2)"},
    ],
    "config": {"n": {"label": "n", "color": "var(--chart-1)"}},
}
TABLE = {"headers": ["Task", "Done"], "rows": [["File taxes", False], [None, 1.5]]}
TIMELINE = {"checkpoints": [{"id": "c1", "title": "Launch", "date": 1735689600000}]}


@pytest.mark.parametrize(
    ("value", "kind", "data"),
    [
        (CHART, "chart", CHART_DATA),
        (PIE, "chart", PIE_DATA),
        ({"type": "table", **TABLE}, "table", TABLE),
        ({**TABLE, "type": "table"}, "table", TABLE),
        ({"type": "timeline", **TIMELINE}, "timeline", TIMELINE),
        (
            {"type": "entity_ref", "entity": "task", "id": "t2", "ids": None},
            "entity_ref",
            {"entity": "task", "item": TASKS[1]},
        ),
    ],
)
def test_each_block(value: object, kind: str, data: object) -> None:
    assert home(of(value)) == ([block(kind, data)], {})


def test_entities_come_from_the_tool_results_of_the_request() -> None:
    cards = [block("entity_ref", {"entity": "task", "item": item}) for item in TASKS]
    assert home(of({"type": "entity_ref", "entity": "task"})) == (cards, {})
    assert home(of({"type": "entity_ref", "entity": "task", "ids": ["t2", "t1"]})) == (
        cards[::-1],
        {},
    )


def test_an_entity_in_no_result_is_asked_of_the_device() -> None:
    home_ = HomeFormatter(REQUEST, device_connected=True, new_id=lambda: "q1")
    reference = {"type": "entity_ref", "entity": "project", "id": "p1"}
    [asked] = home_.text(["".join(of(reference))])
    assert asked.data_request.query_id == "q1"
    assert asked.data_request.entity == EntityKind.ENTITY_KIND_PROJECT
    assert list(asked.data_request.ids.values) == ["p1"]
    assert home_.text(["Done."]) == home_.close() == []
    answer = DataResponse(query_id="q1", items=Json(utf8=b'[{"id":"p1","name":"House"}]'))
    card = {"entity": "project", "item": {"id": "p1", "name": "House"}}
    assert home_.data_response(answer) == [block("entity_ref", card), text("Done.")]
    assert home_.done


BAD: list[tuple[str, str]] = [
    ('{"type":"chart","chartType":"heatmap","data":[{"a":"x","b":1}]}', "chart_type"),
    ('{"type":"chart","chartType":"bar","data":[]}', "chart_data"),
    ('{"type":"chart","chartType":"bar","data":[{"a":"x","__proto__":1}]}', "chart_data"),
    (
        '{"type":"chart","chartType":"bar","data":['
        + '{"a":"x","b":1},' * 1000
        + '{"a":1,"b":1}]}',
        "chart_too_many_rows",
    ),
    (
        '{"type":"chart","chartType":"bar","data":[{"a":"x","b":"3 h"},{"a":"y","b":"$3"}]}',
        "chart_units",
    ),
    ('{"type":"chart","chartType":"bar","data":[{"b":1}],"config":{"b":{}}}', "chart_x_key"),
    ('{"type":"chart","chartType":"bar","data":[{"a":"x"}]}', "chart_series"),
    (
        '{"type":"chart","chartType":"bar","data":[{"a":"x","b":"y"}],"config":{"b":{}}}',
        "chart_values",
    ),
    ('{"type":"chart","chartType":"pie","data":[{"b":1}]}', "chart_categories"),
    ('{"type":"table","headers":[],"rows":[]}', "bad_table"),
    ('{"type":"table","headers":["a"],"rows":[[' + "1," * 50 + "1]]}", "table_too_wide"),
    ('{"type":"timeline","checkpoints":[]}', "bad_timeline"),
    ('{"type":"entity_ref","entity":"person"}', "bad_entity_ref"),
    ('{"type":"entity_ref","entity":"note"}', "entity_not_found"),
    ('{"type":"entity_ref","entity":"task","id":"t9"}', "no_device"),
    ('{"type":"text"}', "bad_text"),
    ('{"type":"table","headers":["a"],"rows":[[1],', "unclosed"),
    ('{"type":"table","type":"text"}', "duplicate_key"),
    ('{"type":"table","a":' + "[" * 40 + "]" * 40 + "}", "too_deep"),
    ('{"type":"table","a":"' + "x" * 256 * 1024 + '"}', "too_large"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_block_is_skipped_and_those_around_it_stand(bad: str, reason: str) -> None:
    table = orjson.dumps({"type": "table", **TABLE}).decode()
    answer = f'{table}\n{bad}\n{{"type":"text","content":"after"}}'
    home_ = HomeFormatter(REQUEST, device_connected=False)
    frames = home_.text([answer]) + home_.close()
    assert frames == [block("table", TABLE), text("after")]
    assert home_.skipped == {reason: 1}
    assert [(told.block_type, told.reason) for told in home_.told] == [
        (orjson.loads('"' + bad.split('"')[3] + '"'), reason)
    ]


MENDED: list[tuple[str, dict[str, Any]]] = [
    (
        '{"type":"table","columns":["a"],"data":[[1,2],{"a":3}]}',
        {"headers": ["a", ""], "rows": [[1, 2], [3, None]]},
    ),
    ('{"type":"table","headers":["a"],"rows":[[1],]}', {"headers": ["a"], "rows": [[1]]}),
    (
        '{"type":"table","headers":["a"],"rows":[["a "b""]]}',
        {"headers": ["a"], "rows": [['a "b"']]},
    ),
    ("{'type':'Table',headers:[“a”],'rows':[[True]]", {"headers": ["a"], "rows": [[True]]}),
    ('{"headers":["a"],"rows":[[1]]],"type":"table"', {"headers": ["a"], "rows": [[1]]}),
]


@pytest.mark.parametrize(("slip", "data"), MENDED)
def test_a_slip_is_mended(slip: str, data: dict[str, Any]) -> None:
    answer = f'Look:\n{slip}\n{{"type":"text","content":"after"}}'
    for tokens in ([answer], list(answer)):
        frames, skipped = home(tokens)
        assert skipped == {}
        assert block("table", data) in frames
        assert "".join(frame.stream_text.chunk for frame in frames) == "Look:after"


def test_a_date_is_one_of_the_users_zone() -> None:
    start = FormatStart(surface=Surface.SURFACE_HOME, timezone="America/New_York")
    answer = '{"type":"timeline","checkpoints":[{"id":"a","title":"A","date":"2026-07-01"}]}'
    [frame] = formatter(REQUEST, start).text([answer])
    [point] = orjson.loads(frame.stream_block.data.utf8)["checkpoints"]
    assert point == {"id": "a", "title": "A", "date": 1782878400000}  # 04:00 UTC


AS_WRITTEN = [
    'Set it to {"theme": "dark"} and restart.',
    '{"type":"video","url":"x"}',
    '{"headers":["a"],"rows":[]}',
    'Hello {{ name }}, {"a", "b"} and {x}.',
    '```json\n{"type":"object","properties":{"a":{"type":"text"}}}\n```\n',
    'Send `{"type":"text","content":"x"}` there.',
]


@pytest.mark.parametrize("answer", AS_WRITTEN)
def test_an_object_that_is_no_block_is_text_as_it_is_written(answer: str) -> None:
    for tokens in ([answer], list(answer)):
        frames, skipped = home(tokens)
        assert skipped == {}
        assert "".join(frame.stream_text.chunk for frame in frames) == answer


def test_a_popup_has_its_domain_then_every_token() -> None:
    popup = PopupFormatter(REQUEST, "checkpoint_agent")
    domain = PopupDomain(request_id=REQUEST, domain=Domain.DOMAIN_CHECKPOINTS)
    frames = popup.open()
    for token in ["It is", " due", ' {"type":"table"}', "\n"]:
        frames += popup.text([token])
    frames += popup.close()
    assert frames == [
        ServerFrame(popup_domain=domain),
        text("It is"),
        text(" due"),
        text(' {"type":"table"}'),
        text("\n"),
    ]
