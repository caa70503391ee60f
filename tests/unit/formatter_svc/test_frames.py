"""Both formatters: inputs in, frames out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from formatter_svc.frames import MAX_QUERIES, MAX_TOLD, HomeFormatter, PopupFormatter, formatter
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.formatter_pb2 import FormatStart, FormatToolResult
from switchboard.v3.frames_pb2 import DataResponse, Domain, ServerFrame, ToolError
from switchboard.v3.values_pb2 import Json
from tests.support.answers import cut_answers

TASK = EntityKind.ENTITY_KIND_TASK


def home(device_connected: bool = True) -> HomeFormatter:
    ids = count(1)
    return HomeFormatter("r", device_connected=device_connected, new_id=lambda: f"q{next(ids)}")


def short(frames: Iterable[ServerFrame]) -> list[Any]:
    """Frames in short: a text, (block type, data), or what is asked of the device."""
    told: list[Any] = []
    for frame in frames:
        match frame.WhichOneof("frame"):
            case "stream_text":
                assert (frame.stream_text.request_id, frame.stream_text.seq) == ("r", 0)
                told.append(frame.stream_text.chunk)
            case "stream_block":
                block = frame.stream_block
                assert (block.request_id, block.seq) == ("r", 0)
                word = BlockType.Name(block.block_type).removeprefix("BLOCK_TYPE_").lower()
                told.append((word, orjson.loads(block.data.utf8)))
            case "data_request":
                asked = frame.data_request
                assert (asked.request_id, asked.seq, asked.deadline_ms) == ("r", 0, 30_000)
                told.append((asked.query_id, asked.entity, list(asked.ids.values)))
            case other:
                raise AssertionError(other)
    return told


def result(value: object, kind: EntityKind.ValueType = TASK) -> FormatToolResult:
    return FormatToolResult(entity=kind, result=Json(utf8=orjson.dumps(value)))


def response(query_id: str, items: object) -> DataResponse:
    return DataResponse(query_id=query_id, items=Json(utf8=orjson.dumps(items)))


def ref(**more: object) -> str:
    return orjson.dumps({"type": "entity_ref", "entity": "task", **more}).decode()


def card(item: dict[str, object]) -> tuple[str, dict[str, object]]:
    return ("entity_ref", {"entity": "task", "item": item})


A: dict[str, object] = {"id": "a", "title": "Tax", "myOwnKey": [1]}
B: dict[str, object] = {"id": "b"}


# Popups.


@pytest.mark.parametrize(
    ("agent", "domain"),
    [
        ("task_agent", Domain.DOMAIN_TASKS),
        ("checkpoint_agent", Domain.DOMAIN_CHECKPOINTS),
        ("note_agent", Domain.DOMAIN_NOTES),
        ("project_agent", Domain.DOMAIN_PROJECTS),
        ("general_agent", Domain.DOMAIN_TASKS),
        ("", Domain.DOMAIN_TASKS),
    ],
)
def test_a_popup_opens_with_its_domain(agent: str, domain: Domain.ValueType) -> None:
    popup = formatter("r", FormatStart(surface=Surface.SURFACE_POPUP, agent_name=agent))
    [frame] = popup.open()
    assert (frame.popup_domain.request_id, frame.popup_domain.domain) == ("r", domain)


def test_a_popup_passes_every_token_as_it_is() -> None:
    popup = PopupFormatter("r", "task_agent")
    tokens = ['{"type":"text"', ' ,"content":"x"}', "\n", " ```json", "[1]"]
    assert short(popup.text(["Hi", "", *tokens])) == ["Hi", *tokens]
    assert popup.tool_result(result({"items": [A]})) == []
    assert popup.data_response(response("q1", [A])) == []
    assert not popup.done
    assert popup.close() == []
    assert popup.done
    assert popup.text(["late"]) == []


# Home.


def test_home_opens_with_nothing_of_its_own() -> None:
    assert formatter("r", FormatStart(surface=Surface.SURFACE_HOME)).open() == []


def test_pieces_that_came_together_are_one_text() -> None:
    assert short(home().text(['{"type":"text","content":"Hel', "lo", " you"])) == ["Hello you"]


def test_a_gap_is_left_between_texts_that_meet() -> None:
    text, table = '{"type":"text","content":"x"}', '{"type":"table","headers":["a"],"rows":[]}'
    shown = ("table", {"headers": ["a"], "rows": []})
    assert "".join(short(home().text([text + text]))) == "x\n\nx"
    assert short(home().text([text + table + text])) == ["x", shown, "x"]
    assert "".join(short(home().text([text + '{"type":"table"}' + text]))) == "x\n\nx"
    nowhere = home(device_connected=False).text([text + ref(id="?") + text])
    assert "".join(short(nowhere)) == "x\n\nx"


def test_entities_of_the_latest_result() -> None:
    formatter = home()
    assert formatter.tool_result(result({"items": [A, B]})) == []
    assert short(formatter.text([ref()])) == [card(A), card(B)]
    formatter.tool_result(result({"item": B | {"done": True}}))
    assert short(formatter.text([ref()])) == [card(B | {"done": True})]
    assert short(formatter.text([ref(ids=["a", "b"])])) == [card(A), card(B | {"done": True})]


def test_no_result_holds_the_kind() -> None:
    formatter = home()
    formatter.tool_result(result({"items": [A]}, EntityKind.ENTITY_KIND_NOTE))
    assert short(formatter.text([ref()])) == []
    assert formatter.skipped == {"entity_not_found": 1}


def test_an_unknown_id_is_asked_of_the_device_and_what_follows_waits() -> None:
    formatter = home()
    formatter.tool_result(result({"items": [A]}))
    asked = formatter.text(["Look:" + ref(ids=["x", "a", "y"]), "and so"])
    assert short(asked) == ["Look:", ("q1", TASK, ["x", "y"])]
    assert formatter.text([" on"]) == []
    assert formatter.close() == []
    assert not formatter.done
    answered = formatter.data_response(response("q1", [{"id": "y"}, {"id": "z"}]))
    assert short(answered) == [card(A), card({"id": "y"}), "and so", " on"]
    assert formatter.done
    assert formatter.skipped == {"entity_not_found": 1}


def test_references_wait_side_by_side() -> None:
    formatter = home()
    assert short(formatter.text([ref(id="x") + ref(id="y")])) == [
        ("q1", TASK, ["x"]),
        ("q2", TASK, ["y"]),
    ]
    assert formatter.data_response(response("q2", [{"id": "y"}])) == []
    cards = formatter.data_response(response("q1", [{"id": "x"}]))
    assert short(cards) == [card({"id": "x"}), card({"id": "y"})]
    assert short(formatter.text([ref(id="x")])) == [card({"id": "x"})]


@pytest.mark.parametrize(
    "bad",
    [
        DataResponse(query_id="q1", error=ToolError(code="device_gone")),
        DataResponse(query_id="q1"),
        response("q1", {}),
        response("q1", [{"id": "other"}, 5]),
    ],
)
def test_a_device_that_has_it_not(bad: DataResponse) -> None:
    formatter = home()
    formatter.text([ref(id="x") + "after"])
    assert formatter.data_response(response("unknown", [{"id": "x"}])) == []
    assert short(formatter.close()) == []
    assert short(formatter.data_response(bad)) == ["after"]
    assert formatter.data_response(response("q1", [{"id": "x"}])) == []
    assert formatter.skipped == {"entity_not_found": 1}


def test_without_a_device_nobody_is_asked() -> None:
    formatter = home(device_connected=False)
    formatter.tool_result(result({"items": [A]}))
    assert short(formatter.text([ref(ids=["a", "x"]) + "after"])) == [card(A), "after"]
    assert formatter.skipped == {"no_device": 1}


def test_an_answer_may_not_ask_for_ever() -> None:
    formatter = home()
    asked = formatter.text([ref(id=f"x{n}") for n in range(MAX_QUERIES + 2)])
    assert len(asked) == MAX_QUERIES
    for n in range(1, MAX_QUERIES + 1):
        formatter.data_response(response(f"q{n}", []))
    assert formatter.skipped == {"entity_not_found": MAX_QUERIES, "too_many_queries": 2}


def test_giving_up_lets_go_of_what_waits() -> None:
    formatter = home()
    formatter.text([ref(id="x") + "after "])
    formatter.close()
    assert short(formatter.give_up()) == ["after", " "]
    assert formatter.done


def test_a_skipped_block_is_logged_without_a_word_of_it(caplog: pytest.LogCaptureFixture) -> None:
    formatter = home()
    with caplog.at_level(logging.DEBUG):
        formatter.text(['{"type":"Chart","title":"private"}{"type":"Markdown"}'])
    assert formatter.skipped == {"chart_type": 1, "bad_text": 1}
    assert caplog.messages == [
        "block skipped: chart_type, type other, 34 bytes",
        "block skipped: bad_text, type other, 19 bytes",
    ]


def test_skipped_blocks_are_told_in_order_by_the_names_that_the_model_gave() -> None:
    formatter = home(device_connected=False)
    formatter.text(['{"type":"TABLE"}', ref(id="x"), '{"type":"text"}{"type":"chart"'])
    formatter.close()
    told = [(each.block_type, each.reason) for each in formatter.told]
    assert told == [
        ("TABLE", "bad_table"),
        ("entity_ref", "no_device"),
        ("text", "bad_text"),
        ("chart", "chart_type"),
    ]


def test_so_many_are_told_and_all_are_counted() -> None:
    formatter = home()
    formatter.text(['{"type":"table"}' * (MAX_TOLD + 5)])
    assert len(formatter.told) == MAX_TOLD
    assert formatter.skipped == {"bad_table": MAX_TOLD + 5}


# Flushes.


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ("Wait {", "Wait {"),
        ("Wait ", "Wait "),
        ('{"type":"text","content":"Half', "Half"),
        ('{"content":"Half', "Half"),
        ("```json\n", "```json\n"),
        ("<thi", "<thi"),
    ],
)
def test_a_flush_shows_what_waited_and_the_answer_may_go_on(before: str, shown: str) -> None:
    formatter = home()
    frames = formatter.text([before]) + formatter.flush()
    assert "".join(short(frames)) == shown
    assert formatter.flush() == []
    more = formatter.text(['{"type":"text","content":"More"}'])
    assert "".join(short(more)).strip() == "More"
    assert formatter.close() == []


def test_a_flush_keeps_what_waits_for_the_device_waiting() -> None:
    formatter = home()
    assert not formatter.waits
    assert short(formatter.text([ref(id="x") + "after"])) == [("q1", TASK, ["x"])]
    assert formatter.flush() == []
    assert formatter.waits
    assert short(formatter.data_response(response("q1", []))) == ["after"]
    assert not formatter.waits


def test_a_popup_has_nothing_to_flush() -> None:
    popup = PopupFormatter("r", "task_agent")
    assert short(popup.text(["Hi"]) + popup.flush()) == ["Hi"]
    assert not popup.waits


def test_thinking_is_not_shown() -> None:
    answer = (
        '<think>I write {"type":"text","content":"draft"}</think>\n{"type":"text","content":"A"}'
    )
    for pieces in ([answer], list(answer)):
        formatter = home()
        frames = [frame for piece in pieces for frame in formatter.text([piece])]
        assert "".join(short(frames + formatter.close())) == "A"


@given(cut_answers())
@settings(deadline=None)
def test_the_same_frames_however_an_answer_is_cut(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    whole, cut_up = home(), home()
    once = whole.text([text]) + whole.close()
    often = [frame for piece in pieces for frame in cut_up.text([piece])] + cut_up.close()
    assert joined(short(once)) == joined(short(often))
    assert whole.skipped == cut_up.skipped


def joined(told: list[Any]) -> list[Any]:
    normal: list[Any] = []
    for each in told:
        if isinstance(each, str) and normal and isinstance(normal[-1], str):
            normal[-1] += each
        else:
            normal.append(each)
    return normal
