"""What a tool checks, and what the model is told of results."""

from __future__ import annotations

import logging

import orjson
import pytest

from agent_svc.catalogue import CATALOGUE
from agent_svc.tools import MAX_RESULT_CHARS, BadArguments, failed, told
from switchboard.v3.frames_pb2 import ToolError, ToolRejection, ToolResult
from switchboard.v3.values_pb2 import Json

LIST = CATALOGUE["list_tasks"]
UPDATE = CATALOGUE["update_task"]


def result(utf8: bytes) -> ToolResult:
    return ToolResult(call_id="c", result=Json(utf8=utf8))


def test_no_arguments_are_an_empty_object() -> None:
    assert LIST.checked("") == LIST.checked(" \n") == LIST.checked("{}") == {}


def test_null_stands_only_where_it_empties() -> None:
    assert LIST.checked('{"status": null, "limit": 5}') == {"limit": 5}
    assert UPDATE.checked('{"id": "t", "dueDate": null}') == {"id": "t", "dueDate": None}
    with pytest.raises(BadArguments, match="title"):
        UPDATE.checked('{"id": "t", "title": ""}')


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"limit": 0}', "limit: 0 is less than the minimum"),
        ('{"limit": 1.5}', "limit: 1.5 is not of type"),
        ('{"dueBefore": "tomorrow"}', "dueBefore: 'tomorrow' is not of type 'number'"),
        ('{"assigned": "me"}', "'assigned' was unexpected"),
        ('{"limit": NaN}', "no valid JSON"),
        ('{"limit": 1', "no valid JSON"),
        ("null", "must be a JSON object"),
        ('"x"', "must be a JSON object"),
    ],
)
def test_bad_arguments_say_how_to_mend_them(text: str, hint: str) -> None:
    with pytest.raises(BadArguments, match=hint):
        LIST.checked(text)


def test_deadlines() -> None:
    assert LIST.deadline_ms == 30_000
    assert CATALOGUE["delete_task"].deadline_ms == 300_000


def test_results_go_on_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    fitting = b'{"items": [{"id": "t", "title": "T", "own": [1]}], "more": true}'
    with caplog.at_level(logging.WARNING):
        assert told(LIST, result(fitting)) == fitting.decode()
    assert not caplog.records


def test_another_shape_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert told(LIST, result(b'{"items": "my words"}')) == '{"items": "my words"}'
    assert "list_tasks" in caplog.text
    assert "my words" not in caplog.text


def test_numbers_past_64_bits_do_no_harm() -> None:
    utf8 = b'{"items": [{"id": "t", "title": "T", "n": 123456789012345678901234567890}]}'
    assert told(LIST, result(utf8)) == utf8.decode()


@pytest.mark.parametrize("utf8", [orjson.dumps("x" * 70_000), orjson.dumps({"text": "é" * 70_000})])
def test_long_results_are_cut_and_say_so(utf8: bytes) -> None:
    shown = orjson.loads(told(LIST, result(utf8)))
    assert shown["shortened"] is True
    assert len(shown["text"]) == MAX_RESULT_CHARS


def test_rejections_and_errors() -> None:
    rejected = ToolResult(rejected=ToolRejection(reason="no"))
    assert orjson.loads(told(LIST, rejected)) == {"rejected": True, "reason": "no"}
    assert orjson.loads(told(LIST, ToolResult(rejected=ToolRejection()))) == {"rejected": True}
    broken = ToolResult(error=ToolError(code="disk", message="full"))
    assert told(LIST, broken) == failed("disk", "full")
