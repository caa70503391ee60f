"""From the bytes of a provider to what people see: no cut lets thinking or calls through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc.events import Finish, Text, ToolCallReady
from agent_svc.parts import ChatAnswer
from agent_svc.shown import Shown
from runtime.model.profiles import Profile


@dataclass(slots=True)
class Asked:
    profile: Profile = field(default_factory=Profile)
    offered: frozenset[str] = frozenset({"f"})
    begins: bool | None = None

    def begins_thinking(self, found: bool) -> None:
        self.begins = found


def stream(deltas: Sequence[dict[str, Any]], finish: str = "stop") -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def read(body: bytes, asked: Asked, size: int | None = None) -> tuple[str, list[ToolCallReady]]:
    """What is shown, and the calls, of a body in pieces of `size` bytes."""
    answer, shown = ChatAnswer(), Shown(asked)
    said: list[Text | ToolCallReady] = []
    for at in range(0, len(body), size or len(body)):
        events = answer.feed(body[at : at + (size or len(body))])
        said += shown.feed(events, apart=answer.thinks_apart)
    *rest, ending = answer.close()
    said += shown.close(rest, whole=isinstance(ending, Finish))
    text = "".join(event.text for event in said if isinstance(event, Text))
    return text, [event for event in said if isinstance(event, ToolCallReady)]


def contents(text: str, cuts: list[int]) -> list[dict[str, Any]]:
    places = sorted(place % (len(text) + 1) for place in cuts)
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    return [{"content": piece} for piece in pieces]


CUTS = st.lists(st.integers(0, 999), max_size=6)
SECRETS = [
    "<think>secret</think>",
    "<thought>\nsecret\n</thought>\n",
    "[THINK]secret[/THINK]",
    "<|channel|>analysis<|message|>secret<|end|><|start|>assistant<|channel|>final<|message|>",
]


@given(st.sampled_from(SECRETS), CUTS, st.integers(1, 40))
def test_no_cut_lets_thinking_through(secret: str, cuts: list[int], size: int) -> None:
    answer = 'The answer.\n{"type":"text","content":"whole"}'
    body = stream(contents(secret + answer, cuts))
    assert read(body, Asked(), size) == (answer, [])


@given(CUTS, st.integers(1, 40))
def test_none_of_a_model_that_begins_in_it(cuts: list[int], size: int) -> None:
    body = stream(contents("a secret\n</think>\n\nwhole", cuts))
    assert read(body, Asked(Profile(opens_thinking=True)), size) == ("whole", [])


@given(CUTS)
def test_a_model_that_begins_in_it_is_known_by_its_first_answer(cuts: list[int]) -> None:
    asked = Asked()
    shown, _ = read(stream(contents("a secret\n</think>\n\nwhole", cuts)), asked)
    assert bool(asked.begins) == (shown != "whole")  # only what came too late is worth to know
    assert shown.endswith("whole")
    assert "think>" not in shown


@given(CUTS)
def test_a_model_that_was_taken_for_one_is_cleared_by_its_next_whole_answer(
    cuts: list[int],
) -> None:
    asked = Asked(Profile(opens_thinking=True))
    assert read(stream(contents("no secret", cuts), "length"), asked) == ("", [])
    assert asked.begins is None
    assert read(stream(contents("no secret", cuts)), asked) == ("no secret", [])
    assert asked.begins is False


def test_calls_without_a_word_tell_nothing_of_where_its_thinking_begins() -> None:
    asked = Asked(Profile(opens_thinking=True))
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    _, calls = read(stream([{"content": "\n"}, call], "tool_calls"), asked)
    assert [call.name for call in calls] == ["f"]
    assert asked.begins is None


@pytest.mark.parametrize("dressed", [True, False])
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking", "whatever"])
def test_thinking_in_a_field_of_its_own_is_none_of_the_text(name: str, dressed: bool) -> None:
    thought = {name: [{"type": "x", "text": "secret"}] if dressed else "secret"}
    body = stream([thought, {"content": "whole", **thought}])
    assert read(body, Asked()) == ("whole", [])


def test_a_model_whose_thinking_comes_apart_is_not_held_back() -> None:
    answer, shown = ChatAnswer(), Shown(Asked(Profile(opens_thinking=True)))
    for delta in ({"provider": "x"}, {"content": "who"}):
        assert shown.feed(answer.feed(stream([delta], "")), apart=answer.thinks_apart) == []
    answer = ChatAnswer()
    body = stream([{"reasoning_content": "secret"}, {"content": "who"}], "")
    assert shown.feed(answer.feed(body), apart=answer.thinks_apart) == [Text("who"), Text("who")]
    assert shown.feed(answer.feed(stream([{"content": "le"}])), apart=True) == [Text("le")]


WRITTEN = 'Well.\n<tool_call>{"name": "f", "arguments": {}}</tool_call>'


@given(CUTS, st.integers(1, 40), st.booleans())
def test_no_cut_lets_a_call_through(cuts: list[int], size: int, writes: bool) -> None:
    asked = Asked(Profile(text_tool_calls=writes))
    text, calls = read(stream(contents(WRITTEN, cuts)), asked, size)
    assert text == "Well.\n"
    assert [(call.name, call.from_text) for call in calls] == ([("f", True)] if writes else [])


def test_calls_of_its_own_come_before_those_in_its_text() -> None:
    own = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "g", "arguments": "{}"}}]}
    body = stream([{"content": WRITTEN}, own], "tool_calls")
    _, calls = read(body, Asked(Profile(text_tool_calls=True)))
    assert [call.name for call in calls] == ["g"]


@pytest.mark.parametrize("finish", ["length", "content_filter", "whim"])
def test_no_call_runs_of_an_answer_that_is_not_whole(finish: str) -> None:
    body = stream([{"content": WRITTEN}], finish)
    assert read(body, Asked(Profile(text_tool_calls=True))) == ("Well.\n", [])
    assert read(stream([{"content": WRITTEN}])[:-60], Asked(Profile(text_tool_calls=True)))[1] == []
