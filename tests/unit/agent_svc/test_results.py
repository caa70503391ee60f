"""What the model is told of results: times, pages, and what is too long."""

from __future__ import annotations

import json
import logging
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from agent_svc.catalogue import CATALOGUE
from agent_svc.cutting import MAX_RESULT_CHARS, SHORTEST_CHARS
from agent_svc.results import failed, told
from switchboard.v3.frames_pb2 import ToolError, ToolRejection, ToolResult
from switchboard.v3.values_pb2 import Json

BERLIN = ZoneInfo("Europe/Berlin")
DEC_1 = 1_796_079_600_000  # 2026-12-01, its start in Berlin


def result(value: object) -> ToolResult:
    utf8 = value if isinstance(value, bytes) else orjson.dumps(value)
    return ToolResult(call_id="c", result=Json(utf8=utf8))


def shown(value: object, tool: str = "list_tasks", **arguments: Any) -> Any:
    text = told(CATALOGUE[tool], result(value), arguments, BERLIN)
    assert len(text) <= MAX_RESULT_CHARS
    return json.loads(text)


def task(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"t{number}", "title": f"Task {number}"} | more


# Shapes


def test_results_go_on_with_all_that_they_hold(caplog: pytest.LogCaptureFixture) -> None:
    fitting = {"items": [task(1, own=[1], none=None)], "total": 1, "more": True}
    with caplog.at_level(logging.WARNING):
        assert shown(fitting) == fitting
    assert not caplog.records


def test_another_shape_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert shown({"items": "my words"}) == {"items": "my words"}
    assert "list_tasks" in caplog.text
    assert "my words" not in caplog.text


@pytest.mark.parametrize("value", [None, 7, "text", [1], {"other": True}, [], {}])
def test_any_json_goes_on(value: object) -> None:
    assert shown(value) == value


def test_what_is_no_json_goes_on_as_a_text() -> None:
    assert shown(b"oops") == {"shortened": False, "text": "oops"}
    assert shown(b"\xff" * 99_000)["shortened"] is True
    assert shown(b"[" * 1000 + b"]" * 1000)["text"].startswith("[[[")


def test_numbers_past_64_bits_do_no_harm() -> None:
    large = (
        b'{"items": [{"id": "t", "title": "T", "n": 123456789012345678901234567890}], "total": 1}'
    )
    assert shown(large) == json.loads(large)


def test_half_a_surrogate_pair_can_be_sent_on() -> None:
    text = told(CATALOGUE["list_tasks"], result(b'{"items": [], "x": "\\ud83d"}'), {}, BERLIN)
    assert text.encode() == b'{"items":[],"x":"\\ud83d"}'


def test_rejections_and_errors() -> None:
    def of(given: ToolResult) -> Any:
        return orjson.loads(told(CATALOGUE["list_tasks"], given, {}, BERLIN))

    assert of(ToolResult(rejected=ToolRejection(reason="no"))) == {"rejected": True, "reason": "no"}
    assert of(ToolResult(rejected=ToolRejection())) == {"rejected": True}
    wordy = of(ToolResult(rejected=ToolRejection(reason="no " * 40_000)))
    assert wordy["reason"].endswith("more characters]")
    broken = ToolResult(error=ToolError(code="disk", message="full"))
    assert of(broken) == orjson.loads(failed("disk", "full"))


# Times


def test_each_time_is_told_as_local_time_beside() -> None:
    item = task(1, dueDate=DEC_1, updated_at=DEC_1 + 0.5, parts=[{"createdAt": DEC_1}])
    [seen] = shown({"items": [item], "total": 1})["items"]
    assert list(seen.items())[2:4] == [
        ("dueDate", DEC_1),
        ("dueDateLocal", "2026-12-01T00:00 Tuesday"),
    ]
    assert seen["updated_at_local"] == seen["parts"][0]["createdAtLocal"] == seen["dueDateLocal"]


@pytest.mark.parametrize(
    "other",
    [
        {"dueDate": None},
        {"dueDate": "2026-12-01"},
        {"dueDate": True},
        {"dueDate": 1_764_547_200},
        {"dueDate": 10**30},
        {"createdAt": -DEC_1},
        {"estimate": DEC_1},
        {"float": DEC_1},
        {"dueDate": DEC_1, "dueDateLocal": "mine"},
    ],
)
def test_what_is_no_time_or_told_already_stays_alone(other: dict[str, Any]) -> None:
    utf8 = json.dumps({"items": [task(1, **other)], "total": 1}).encode()
    assert shown(utf8)["items"] == json.loads(utf8)["items"]


# Pages


@pytest.mark.parametrize(
    ("count", "more", "limit", "notice"),
    [
        (3, {"total": 3}, None, None),
        (50, {"total": 50}, None, None),
        (3, {}, None, None),
        (
            2,
            {"total": 9, "next_cursor": "t1"},
            2,
            "This is a page of 2: there are 9 in all."
            " The rest: the same call with this next_cursor as cursor.",
        ),
        (2, {"total": 9}, 2, "This is a page of 2: there are 9 in all."),
        (
            2,
            {"next_cursor": "t1"},
            2,
            "This is a page of 2: there are more."
            " The rest: the same call with this next_cursor as cursor.",
        ),
        (2, {}, 2, "As many came as were asked for, 2: there may be more."),
        (50, {}, None, "As many came as were asked for, 50: there may be more."),
        (49, {}, None, None),
        (2, {"total": True}, 2, "As many came as were asked for, 2: there may be more."),
    ],
)
def test_a_page_says_that_it_is_no_total(
    count: int, more: dict[str, Any], limit: int | None, notice: str | None
) -> None:
    arguments: dict[str, Any] = {} if limit is None else {"limit": limit}
    seen = shown({"items": [task(n) for n in range(count)], **more}, **arguments)
    assert seen.get("notice") == notice


def test_what_gives_no_pages_says_nothing_of_them() -> None:
    items = {"items": [{"id": f"c{n}", "title": "C"} for n in range(60)]}
    assert shown(items, "suggest_checkpoints") == items


# Lengths


def test_a_long_note_is_cut_inside_and_stays_a_note() -> None:
    note = {"id": "n1", "title": "Long", "content": "word " * 12_000 + "end"}
    seen = shown({"items": [note]}, "get_note")
    [item] = seen["items"]
    assert (item["id"], item["title"]) == ("n1", "Long")
    kept, _, left = item["content"].partition("… [")
    assert len(kept) > 59_000 and note["content"].startswith(kept)
    assert left == f"{len(note['content']) - len(kept)} more characters]"
    assert seen["notice"] == "Long texts are cut here, as marked: do not write them back from this."
    assert "omitted" not in seen


def test_the_longest_texts_are_cut_first() -> None:
    sizes = [500, 20_000, 40_000, 9_000]
    notes = [{"id": str(n), "title": "N", "content": "é" * size} for n, size in enumerate(sizes)]
    lengths = [len(item["content"]) for item in shown({"items": notes, "total": 4})["items"]]
    assert lengths[0] == 500 and lengths[3] == 9_000
    assert lengths[1] == 20_000 and 29_000 < lengths[2] < 30_400


def test_whole_items_go_only_after_all_texts_are_short() -> None:
    notes = [
        {"id": f"n{n}", "title": "N", "content": "x" * 5000, "tags": [*range(100)]}
        for n in range(200)
    ]
    page = {"items": notes, "total": 900, "next_cursor": "n199"}
    seen = shown(page, "list_notes", limit=200)
    kept = len(seen["items"])
    assert 50 < kept < 200
    assert [item["id"] for item in seen["items"]] == [f"n{n}" for n in range(kept)]
    assert seen["items"][0]["content"] == "x" * SHORTEST_CHARS + "… [4800 more characters]"
    assert (seen["omitted"], seen["total"]) == (200 - kept, 900)
    assert "next_cursor" not in seen, "it leads past what was left out"
    assert f"{200 - kept} more items were too long to show" in seen["notice"]
    assert "there are 900 in all" in seen["notice"]


@pytest.mark.parametrize("value", [{"x": [*range(40_000)]}, {"items": [{"n": [*range(40_000)]}]}])
def test_what_cannot_be_cut_inside_is_told_by_its_start(value: object) -> None:
    seen = shown(value)
    assert seen["shortened"] is True
    assert orjson.dumps(value).decode().startswith(seen["text"][:1000])
