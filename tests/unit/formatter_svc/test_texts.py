"""Where texts meet."""

from __future__ import annotations

import pytest

from formatter_svc.json_object import Block
from formatter_svc.texts import Event, Kind, Text, Texts

BLOCK = Block("table", {}, 2)


def said(*things: tuple[Kind, str] | Block | None) -> list[Event]:
    """None: an object begins or ends."""
    texts = Texts()
    for thing in things:
        match thing:
            case None:
                texts.seam()
            case Block():
                texts.add(thing)
            case (kind, text):
                texts.say(kind, text)
    return texts.take()


def test_pieces_of_one_text_are_one_event() -> None:
    assert said(("content", "a"), ("content", ""), ("content", "b")) == [Text("ab")]


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("a", "b", "a\n\nb"),
        ("a\n", "b", "a\n\nb"),
        ("a\n\n", "b", "a\n\nb"),
        ("a\n\n\n", "b", "a\n\n\nb"),
        ("a", "\nb", "a\n\nb"),
        ("a", "\n\n\nb", "a\n\n\nb"),
        ("a\n", "\n", "a\n"),
        ("a", " b", "a\n\n b"),
    ],
)
def test_texts_that_meet_are_paragraphs(first: str, second: str, whole: str) -> None:
    assert said(("content", first), None, ("content", second)) == [Text(whole)]
    one_by_one: list[tuple[Kind, str]] = [("content", char) for char in second]
    assert said(("content", first), None, *one_by_one) == [Text(whole)]


def test_prose_that_an_object_was_cut_out_of_stays_a_line() -> None:
    assert said(("prose", "a"), None, ("prose", "b")) == [Text("a b")]
    texts = Texts()
    texts.say("prose", "a")
    texts.line_break()
    texts.seam()
    texts.say("prose", "b")
    assert texts.take() == [Text("a\n\nb")]


def test_the_gap_is_told_where_something_stands_between() -> None:
    events = said(("content", "a"), None, BLOCK, None, ("content", "b"))
    assert events == [Text("a"), BLOCK, Text("b", "\n\n")]


def test_the_first_text_keeps_its_line_breaks() -> None:
    assert said(None, ("content", "\n\na")) == [Text("\n\na")]
