"""Events come out as they went in, however lines end and bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc import sse
from agent_svc.reading import data_of
from agent_svc.sse import Sent, SseDecoder


def sent(body: bytes, size: int | None = None) -> list[Sent[object]]:
    decoder: SseDecoder[object] = SseDecoder(data_of)
    size = size or len(body) or 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers(), max_size=3)


@given(st.lists(VALUES, max_size=6), st.booleans(), st.booleans(), st.integers(1, 9))
def test_sse_gives_back_the_data_of_events(
    values: list[dict[str, object]], blank_lines: bool, marked: bool, size: int
) -> None:
    """With blank lines between or without, and even with no `data:` before it."""
    for newline in ("\n", "\r\n", "\r"):
        end = newline * (1 + blank_lines)
        body = "".join(f"{'data: ' * marked}{json.dumps(value)}{end}" for value in values)
        assert sent(body.encode(), size) == [(value, False) for value in values]


@given(VALUES, st.sampled_from([None, 1, 3]), st.integers(1, 9))
def test_a_document_may_stand_in_place_of_a_stream(
    value: dict[str, object], indent: int | None, size: int
) -> None:
    body = json.dumps(value, indent=indent).encode()
    for padded in (body, b"\xef\xbb\xbf" + body, b"\n\n" + body + b"\n"):
        assert sent(padded, size) == [(value, False)]


def test_data_of_several_lines_is_one_event() -> None:
    body = b'data: {"a":\ndata: {"b": 1}\ndata: }\n\ndata: {}\n\n'
    assert sent(body, 1) == sent(body) == [({"a": {"b": 1}}, False), ({}, False)]


def test_lines_that_carry_no_data_are_passed_over() -> None:
    body = b": hello\nevent: x\nid: 1\nretry: 5\n\ndata\n\n<html>\n\ndata: [1]\n\n"
    assert sent(body) == [([1], False)]


@pytest.mark.parametrize(
    "body",
    [
        b'event: error\ndata: {"a": 1}\n\n',
        b'event: error\ndata: {"a": 1}',
        b'event:error\r\ndata:{"a": 1}\r\n',
    ],
)
def test_an_event_may_be_an_error(body: bytes) -> None:
    assert sent(body) == sent(body, 1) == [({"a": 1}, True)]


def test_the_one_after_an_error_is_none() -> None:
    assert sent(b"event: error\ndata: {}\n\ndata: {}\n\n") == [({}, True), ({}, False)]
    assert sent(b"event: error\n\n") == [(None, True)]


def test_an_event_that_cannot_be_read_is_told_when_it_is_over() -> None:
    decoder: SseDecoder[object] = SseDecoder(data_of)
    assert decoder.feed(b"data: {\n") == []
    assert decoder.feed(b"\n") == [(None, False)]


def test_an_event_that_the_end_left_open_is_given_at_the_close() -> None:
    decoder: SseDecoder[object] = SseDecoder(data_of)
    assert decoder.feed(b"data: [1]\n\ndata: [2") == [([1], False)]
    assert decoder.feed(b"]") == []
    assert decoder.close() == [([2], False)]
    assert decoder.close() == []


@pytest.mark.parametrize("body", [b"data: 12345678", b"data: {\n" + b"data: 1\n" * 9, b"{\n" * 9])
def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 8)
    decoder: SseDecoder[object] = SseDecoder(data_of)
    with pytest.raises(ValueError, match="too long"):
        decoder.feed(body)
