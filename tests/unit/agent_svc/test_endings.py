"""Only a word that is known as an end is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc.endings import Ended, ended, reason_of

WHOLE = ["stop", "end_turn", "eos", "tool_calls", "function_call", "stop_sequence", "tool_use"]
CUT = [
    *("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens", "error"),
    *("network_error", "timeout", "insufficient_system_resource", "abort", "cancelled", "other"),
    *("malformed_function_call", "pause_turn", "unexpected_tool_call", "model_context_window"),
]
REFUSED = [
    *("content_filter", "content_filter: PROHIBITED_CONTENT", "SAFETY", "IMAGE_SAFETY"),
    *("RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "sensitive", "refusal"),
    *("guardrail_intervened", "content_filtered", "ERROR_TOXIC", "moderation"),
]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(
            (word, "whole")
            for word in [*WHOLE, "STOP", "COMPLETE", "FinishReason.STOP", "<|im_end|>"]
        ),
        *((word, "cut") for word in CUT),
        *((word, "refused") for word in REFUSED),
    ],
)
def test_what_a_reason_means(word: str, meant: Ended) -> None:
    for spelling in (word, word.upper(), word.lower(), f" {word} ", word.replace("_", "-")):
        assert ended(reason_of(spelling)) == meant


@pytest.mark.parametrize("word", [None, "", "null", "NONE", False, 0, [], {}])
def test_no_reason_yet(word: object) -> None:
    assert reason_of(word) == ""


@given(st.text(alphabet="qxyz_", min_size=1))
def test_a_word_that_nobody_knows_is_no_success(word: str) -> None:
    assert reason_of(word) == "" or ended(reason_of(word)) != "whole"
