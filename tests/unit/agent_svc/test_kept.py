"""What is the provider's alone comes back as it was, however it was cut into deltas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc import kept
from agent_svc.kept import Kept, Parts


def joined(*deltas: dict[str, Any]) -> dict[str, Any]:
    gathered = Kept()
    for delta in deltas:
        for name, value in delta.items():
            gathered.add(name, value)
    return gathered.value()


@given(st.lists(st.text(max_size=5), min_size=1))
def test_strings_are_joined(pieces: list[str]) -> None:
    told = joined(*({"reasoning_content": piece} for piece in pieces))
    assert told == {"reasoning_content": "".join(pieces)}


def test_details_are_joined_by_their_index() -> None:
    first = {"type": "reasoning.text", "text": "I ", "index": 0, "format": "x-v1", "id": "a"}
    more = {"type": "reasoning.text", "text": "think", "index": 0, "format": "x-v1", "id": "a"}
    signed = {"type": "reasoning.text", "signature": "s1", "index": 0}
    other = {"type": "reasoning.encrypted", "data": "zz", "index": 1}
    told = joined(*({"reasoning_details": [each]} for each in (first, more, other, signed)))
    assert told == {"reasoning_details": [first | {"text": "I think", "signature": "s1"}, other]}


def test_details_without_an_index_go_on_where_the_last_one_ended() -> None:
    pieces = [{"type": "text", "text": each} for each in ("a", "b")]
    assert joined(*({"parts": [each]} for each in pieces)) == {
        "parts": [{"type": "text", "text": "ab"}]
    }
    signed = [{"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "thinking"}]
    assert joined(*({"parts": [each]} for each in signed)) == {"parts": signed}


def test_objects_are_joined_field_by_field() -> None:
    told = joined(
        {"extra_content": {"google": {"thought_signature": "ab"}}},
        {"extra_content": {"google": {"n": 1, "more": None}, "ok": True}},
    )
    assert told == {"extra_content": {"google": {"thought_signature": "ab", "n": 1}, "ok": True}}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_anything_may_come_and_what_comes_out_can_be_sent(value: object) -> None:
    told = joined({"x": value}, {"x": "text"}, {"x": value}, {"\ud800": value})
    assert json.dumps(told, allow_nan=False, ensure_ascii=False).encode()


def test_what_is_too_deep_is_left_out() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    assert json.dumps(joined({"x": deep})).count("[") < 20


def test_a_field_past_the_bound_is_dropped_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_CHARACTERS", 10)
    gathered = Kept()
    assert gathered.add("short", "12345") == 5
    assert gathered.add("signature", "123") == 3
    assert gathered.add("signature", "45678") == 5
    assert gathered.add("signature", "9") == 1
    assert gathered.value() == {"short": "12345"}


def test_content_of_parts_stays_what_it_was() -> None:
    parts = Parts()
    parts.add([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}])
    parts.add([{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}])
    parts.add("Hel")
    parts.add("lo")
    assert parts.value() == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]},
        {"type": "text", "text": "Hello"},
    ]
