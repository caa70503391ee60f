"""PURE: what a finish_reason means. Only a word that is known as an end is a success."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

Ended: TypeAlias = Literal["whole", "cut", "refused"]

_WHOLE: Final = frozenset(
    {
        # OpenAI and most others; then Anthropic's, Cohere's, TGI's and the tokens' own names.
        *("stop", "tool_calls", "function_call", "tool_call", "function_calls"),
        *("end_turn", "stop_sequence", "tool_use"),
        *("complete", "completed", "finish", "finished", "done", "end", "normal"),
        *("eos", "eos_token", "stop_token", "end_of_turn", "end_of_text", "endoftext"),
        *("eot", "eot_id", "eom", "eom_id", "im_end", "stop_str", "stop_words"),
    }
)
# Looked for within the word: `content_filter: PROHIBITED_CONTENT`, `guardrail_intervened`.
_REFUSED: Final = re.compile(
    r"filter|safety|recitation|prohibited|block_?list|blocked|spii|sensitive|guardrail|refus"
    r"|moderation|policy|toxic|harm|jailbreak|unsafe"
)
_PREFIX: Final = re.compile(r"^finish_?reason[._:]?")
_NONE: Final = frozenset({"", "null", "none", "unspecified", "in_progress", "not_finished"})


def reason_of(value: object) -> str:
    """The reason as one word in lower case; empty for one that says that there is more to come."""
    if not isinstance(value, str):
        return ""
    word = value.strip().strip("<|>/").lower().replace("-", "_").replace(" ", "_")
    word = _PREFIX.sub("", word)
    return "" if word in _NONE else word


def ended(reason: str) -> Ended:
    """What a reason (of `reason_of`) means for the answer."""
    if reason in _WHOLE:
        return "whole"
    return "refused" if _REFUSED.search(reason) else "cut"
