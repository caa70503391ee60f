"""Events come out as they went in, however lines end and bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc import sse
from agent_svc.sse import SseDecoder


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))))
def test_sse_gives_back_the_data_of_events(lines: list[str]) -> None:
    wanted = ["\n".join(lines).encode()] if lines else []
    for newline in ("\n", "\r\n", "\r"):
        body = "".join(f"data: {line}{newline}" for line in lines) + newline
        decoder = SseDecoder()
        events = [event for byte in body.encode() for event in decoder.feed(bytes([byte]))]
        assert events == wanted


def test_lines_that_carry_no_data_are_passed_over() -> None:
    body = b": hello\nevent: x\nid: 1\nretry: 5\n\ndata\n\ndata: a\n\n"
    assert SseDecoder().feed(body) == [b"a"]


def test_an_event_that_the_end_left_open_is_given_at_the_close() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n\ndata: b") == [b"a"]
    assert decoder.close() == [b"b"]
    assert decoder.close() == []


def test_a_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 10)
    decoder = SseDecoder()
    assert decoder.feed(b"data: 1234\n\n" * 3) == [b"1234"] * 3
    with pytest.raises(ValueError, match="too long"):
        decoder.feed(b"data: 12345")
