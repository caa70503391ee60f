"""A conversation is made to fit: what is oldest goes first, and a call never without its result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_svc.context import Calibration, Message, fitted, size_of, without_blanks

PROMPT: Message = {"role": "system", "content": "You are an agent."}
ASKED: Message = {"role": "user", "content": "the question"}


def said(*texts: str) -> list[Message]:
    """A history: the user first, then in turn."""
    return [
        {"role": ("user", "assistant")[place % 2], "content": text}
        for place, text in enumerate(texts)
    ]


def tools(number: int, result: str) -> list[Message]:
    call = {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": result},
    ]


def test_what_fits_is_left_as_it_is() -> None:
    messages = [PROMPT, *said("a", "b"), ASKED, *tools(1, "r")]
    assert fitted(messages, 10_000) == messages


def test_the_oldest_turns_go_first_and_an_answer_with_its_question() -> None:
    history = said("q1" * 50, "a1", "q2", "a2")
    messages = [PROMPT, *history, ASKED]
    room = sum(map(size_of, messages)) - 1
    assert fitted(messages, room) == [PROMPT, *history[2:], ASKED]
    assert fitted(messages, 0) == [PROMPT, ASKED]


def test_long_results_are_shortened_after_the_history_is_gone() -> None:
    messages = [PROMPT, *said("q", "a"), ASKED, *tools(1, "x" * 50_000), *tools(2, "short")]
    kept = fitted(messages, 5_000)
    assert kept[:2] == [PROMPT, ASKED]
    assert len(kept) == 6
    assert kept[3]["content"].startswith('{"shortened":true,"text":"xxx')
    assert len(kept[3]["content"]) < 3_000
    assert kept[-1]["content"] == "short"


def test_then_whole_rounds_go_but_the_last() -> None:
    rounds = [each for number in range(9) for each in tools(number, "y" * 300)]
    kept = fitted([PROMPT, ASKED, *rounds], 1_200)
    assert kept[:2] == [PROMPT, ASKED]
    assert kept[-2:] == rounds[-2:]
    assert len(kept) < len(rounds)


@given(
    st.lists(st.text(max_size=40), max_size=6),
    st.lists(st.integers(0, 6_000), max_size=5),
    st.integers(0, 9_000),
)
def test_what_is_asked_stays_and_every_call_has_its_result(
    history: list[str], results: list[int], room: int
) -> None:
    rounds = [each for number, size in enumerate(results) for each in tools(number, "z" * size)]
    messages = [PROMPT, *said(*history), ASKED, *rounds]
    kept = fitted(messages, room)
    assert [message for message in kept if message in (PROMPT, ASKED)] == [PROMPT, ASKED]
    called = [call["id"] for message in kept for call in message.get("tool_calls", ())]
    assert called == [message["tool_call_id"] for message in kept if message["role"] == "tool"]
    assert kept[-2:] == messages[-2:] or room < size_of(messages)
    assert sum(map(size_of, kept)) <= sum(map(size_of, messages))
    turns = [message["role"] for message in kept if message["role"] != "tool"]
    assert turns[1] == "user"


def test_what_says_nothing_is_left_out_but_for_what_is_asked() -> None:
    blank = {"role": "assistant", "content": " \n"}
    asked = {"role": "user", "content": ""}
    call = tools(1, "")
    assert without_blanks([PROMPT, ASKED, blank, asked, *call]) == [PROMPT, ASKED, asked, *call]


def test_tokens_are_estimated_as_they_were_reported() -> None:
    calibration = Calibration()
    assert calibration.tokens(4_000) == 1_000
    for _ in range(20):
        calibration.note(10_000, 5_000)
    assert 1_990 < calibration.tokens(4_000) < 2_010
    calibration.note(10_000, 10**9)  # no report may spoil it for good
    assert calibration.tokens(4_000) <= 4_000
