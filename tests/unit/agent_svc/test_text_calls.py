"""Calls that are written as text are never shown, and are calls only where they end the text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc.text_calls import TextCalls

CALL = '<tool_call>{"name": "list_tasks", "arguments": {"status": "todo"}}</tool_call>'
DRESSES = [
    CALL,
    '<tool_call>\n{"name": "list_tasks", "arguments": {"status": "todo"}}\n</tool_call>\n',
    '<tool_call>{"name": "list_tasks", "arguments": "{\\"status\\": \\"todo\\"}"}</tool_call>',
    '<tool_call>{"name": "list_tasks", "parameters": {"status": "todo"}}',
    '<function=list_tasks>{"status": "todo"}</function>',
    "<tool_call>\n<function=list_tasks>\n<parameter=status>\ntodo\n</parameter>\n</function>\n"
    "</tool_call>",
    "<tool_call>list_tasks\n<arg_key>status</arg_key>\n<arg_value>todo</arg_value>\n</tool_call>",
    '<function_calls>\n<invoke name="list_tasks">\n<parameter name="status">todo</parameter>\n'
    "</invoke>\n</function_calls>",
    '[TOOL_CALLS][{"name": "list_tasks", "arguments": {"status": "todo"}}]',
    '[TOOL_CALLS]list_tasks[ARGS]{"status": "todo"}',
    '<|python_tag|>{"name": "list_tasks", "parameters": {"status": "todo"}}<|eom_id|>',
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.list_tasks:0"
    '<|tool_call_argument_begin|>{"status": "todo"}<|tool_call_end|><|tool_calls_section_end|>',
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>list_tasks\n```json\n"
    '{"status": "todo"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
]
PROSE = [
    "Models write <tool_call> and </tool_call> around their calls.",
    "<tool_call> is a tag.",
    f"`{CALL}`",
    f"```\n{CALL}\n```",
    f"~~~xml\n{CALL}\n~~~\nSo it is.",
    "a < b, [1], [link](x), <function>",
    "An unfinished <tool_call>{ in a sentence",
]


def read(*pieces: str) -> tuple[str, list[tuple[str, object]]]:
    calls = TextCalls()
    shown = "".join(map(calls.feed, pieces)) + calls.close()
    return shown, [(call.name, json.loads(call.arguments)) for call in calls.calls]


WANTED = [("list_tasks", {"status": "todo"})]


@pytest.mark.parametrize("dress", DRESSES)
def test_calls_in_any_dress_and_any_cut(dress: str) -> None:
    for before in ("", "Let me look.\n"):
        text = before + dress
        assert read(text) == (before, WANTED)
        assert read(*text) == (before, WANTED)
        for at in range(len(text)):
            assert read(text[:at], text[at:]) == (before, WANTED)


def test_several_calls_end_the_text_together() -> None:
    assert read(f"{CALL}\n\n{CALL}\n") == ("", WANTED * 2)


@pytest.mark.parametrize("dress", DRESSES)
def test_a_call_with_text_after_it_is_not_run_and_not_shown(dress: str) -> None:
    closed = dress if dress.strip().endswith((">", "]")) and "ARGS" not in dress else None
    if closed is None or closed.startswith("["):
        return
    assert read(f"{closed}\nand more") == ("and more", [])


def test_a_call_within_a_line_is_not_run_and_not_shown() -> None:
    assert read(f"The note says: {CALL}") == ("The note says: ", [])
    assert read(f"> {CALL}") == ("> ", [])


@pytest.mark.parametrize("text", PROSE)
def test_words_about_calls_are_text(text: str) -> None:
    assert read(text) == read(*text) == (text, [])


@given(st.sampled_from(DRESSES), st.data())
def test_a_call_that_broke_off_is_never_half_a_call(dress: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(dress)))
    _, calls = read(dress[:end])
    assert calls in ([], WANTED)


@given(st.text(alphabet='<tool_call>{}"/`\n []', max_size=60), st.integers(1, 5))
def test_any_text_gives_the_same_for_every_cut(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert read(*pieces) == read(text)
