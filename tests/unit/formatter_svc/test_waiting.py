"""The order of an answer while the device is asked."""

from __future__ import annotations

from formatter_svc.json_object import Skipped
from formatter_svc.reasons import Reason
from formatter_svc.texts import Text
from formatter_svc.waiting import MAX_SHOWN_BYTES, MAX_WAITING, Line, Query, Shown


def left_out(reason: Reason) -> Skipped:
    return Skipped(reason, "entity_ref", 0)


def test_what_waits_for_nothing_is_ready_at_once() -> None:
    line = Line()
    line.put(Text("a"))
    line.put(Shown("table", b"{}"))
    assert line.ready() == [Text("a"), Shown("table", b"{}")]
    assert line.empty


def test_what_comes_after_a_query_waits_for_it() -> None:
    line, first, second = Line(), Query("task", ("a",), {}), Query("note", ("n",), {})
    for thing in (Text("1"), first, Text("2"), second, Text("3")):
        line.put(thing)
    assert line.ready() == [Text("1")]
    second.answered = True
    assert line.ready() == []
    first.found, first.answered = {"a": b'{"id":"a"}'}, True
    card = Shown("entity_ref", b'{"entity":"task","item":{"id":"a"}}')
    assert line.ready() == [card, Text("2"), left_out(Reason.ENTITY_NOT_FOUND), Text("3")]


def test_a_device_that_does_not_answer_is_given_up() -> None:
    line = Line()
    line.put(Query("task", ("a", "b"), {"b": b"{}"}))
    line.give_up(Reason.NO_DEVICE)
    card = Shown("entity_ref", b'{"entity":"task","item":{}}')
    assert line.ready() == [left_out(Reason.NO_DEVICE), card]


def test_what_waits_is_bounded() -> None:
    line = Line()
    line.put(Query("task", ("a",), {}))
    line.put(Text("x" * MAX_WAITING))
    assert line.ready() == []
    line.put(Text("y"))
    assert line.ready() == [left_out(Reason.WAITED_TOO_LONG), Text("x" * MAX_WAITING), Text("y")]
    line.put(Query("task", ("a",), {}))
    line.put(Text("z"))
    assert line.ready() == []


def test_an_entity_that_no_frame_can_hold_is_left_out() -> None:
    line = Line()
    line.put(Query("task", ("a", "b"), {"a": b"x" * (MAX_SHOWN_BYTES + 1), "b": b"{}"}, True))
    card = Shown("entity_ref", b'{"entity":"task","item":{}}')
    assert line.ready() == [left_out(Reason.ENTITY_NOT_FOUND), card]
