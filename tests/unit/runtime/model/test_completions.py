"""What a whole completion says."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from runtime.model.completions import content, tokens


def completion(said: Any, finish: str | None = "stop", **rest: Any) -> ChatCompletion:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": said},
    }
    told: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    return ChatCompletion.construct(**told, choices=[choice], **rest)


@pytest.mark.parametrize(
    ("said", "finish", "told"),
    [
        ("Yes.", "stop", "Yes."),
        ("Yes.", "end_turn", "Yes."),
        ("Yes.", None, "Yes."),
        ("<think>Hm.</think>Yes.", "stop", "Yes."),
        ("Hm.</think>Yes.", "stop", "Yes."),
        ([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}], None, "Yes."),
        ("Ye", "length", ""),
        ("Ye", "max_tokens", ""),
        ("Ye", "content_filter", ""),
        ("Ye", "SAFETY", ""),
        (None, "stop", ""),
    ],
)
def test_what_was_said_is_read_without_thoughts_and_only_whole(
    said: Any, finish: str | None, told: str
) -> None:
    assert content(completion(said, finish)) == told


def test_an_answer_without_choices_says_nothing() -> None:
    empty = ChatCompletion.construct(choices=None)
    assert content(empty) == ""


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4)),
        ({"prompt_tokens": None, "completion_tokens": -1}, (0, 0)),
        (None, None),
    ],
)
def test_what_it_cost_is_told_where_the_provider_tells(usage: Any, told: Any) -> None:
    assert tokens(completion("x", usage=usage)) == told
