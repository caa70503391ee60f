"""PURE: which of our error codes a provider's error amounts to.

What was said comes before the status: providers refuse content with 400 and with 403, and a
request that is too long with 400, 413, 422, 429 and 500.
"""

from __future__ import annotations

import re
from typing import Final

from runtime.model.refusals import Refusal
from switchboard.v3.errors_pb2 import ErrorCode


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_MODERATION_CODES: Final = _any(
    r"content_?filter|content_?policy|policy_violation|moderation|safety|responsibleai",
    r"data_?inspection_?failed|prohibited_content|prompt_blocked|guardrail|sensitive",
    r"invalid_prompt|recitation|blocklist|content_?blocked",
)
_MODERATION_WORDS: Final = _any(
    r"content exists risk|considered high risk|requires moderation|content management policy",
    r"flagged (?:by|as|for)|was flagged",
    r"(?:violat\w+|against) .{0,40}(?:usage|content) (?:guideline|polic)",
    r"(?:unsafe|sensitive|inappropriate) (?:or \w+ )?content",
    r"blocked by .{0,30}(?:safety|moderation|filter)",
)
_OVERFLOW_CODES: Final = _any(
    r"context_?(?:length|window|size)|exceed_context|(?:prompt|input)_too_long|too_many_tokens",
    r"string_above_max_length|request_too_large|tokens_limit_reached|model_max_prompt_tokens",
)
_OVERFLOW_WORDS: Final = _any(
    r"context (?:length|window|size)",
    r"(?:maximum|max|available|model'?s?|total) (?:allowed )?(?:prompt|input)[ _](?:length|size)",
    r"(?:prompt|input|request|message|conversation)s? (?:is|are|was|were) too (?:long|large)",
    r"too many (?:input |prompt )?tokens|request too large|payload too large|string too long",
    r"reduce the (?:length|size|number) of|range of input length|token limit exceeded",
    r"(?:input|prompt)[ _]tokens? (?:count )?.{0,40}exceed",
    r"exceeds? .{0,60}(?:number of|maximum|max|limit of|input)[ _]?tokens",
    r"tokens? .{0,40}exceeds? .{0,40}(?:limit|maximum)",
    r"exceeds? the (?:model'?s? )?(?:token )?limit of \d+ tokens",
)
_CREDIT_CODES: Final = _any(
    r"insufficient_(?:quota|balance|credits?|funds)|exceeded_current_quota|credit_balance",
    r"billing_(?:hard_limit|not_active)|arrearage|payment_required|\b1113\b",
)
_CREDIT_WORDS: Final = _any(
    r"insufficient (?:account )?(?:balance|credits?|funds|quota)|credit balance is too low",
    r"(?:out of|no|no more|not enough) credits|billing .{0,20}not active",
    r"account .{0,30}(?:arrears|overdue)",
)
_KEY_WORDS: Final = _any(
    r"(?:invalid|incorrect|no) .{0,20}(?:api[ _-]?key|access token|credential)",
    r"api[ _-]?key.{0,30}(?:invalid|not valid|expired|incorrect|missing)",
)
_MODEL_WORDS: Final = _any(
    r"model_not_found|(?:invalid|unknown|no such) model|model .{0,100}(?:not |n't )(?:exist|found)",
    r"support embeddings?\b|not an embeddings? model",
)
_BUSY_CODES: Final = _any(r"server_?busy|overloaded|capacity|loading|unavailable")
# What of 4xx passes by itself: a time-out, a lock, "too early", and Groq's want of capacity.
_PASSING: Final = frozenset({408, 409, 425, 498})
# "Not implemented" and "version not supported" stay so.
_LASTING: Final = frozenset({501, 505})
_TOO_LONG: Final = frozenset({400, 413, 422, 429, 500})


def meaning(refusal: Refusal) -> ErrorCode.ValueType:
    """The code that tells the user, and us, what to do about it."""
    if _moderated(refusal):
        return ErrorCode.ERROR_CODE_MODEL_REFUSED
    if about_credit(refusal):
        return ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED
    if _overflows(refusal):
        return ErrorCode.ERROR_CODE_CONTEXT_TOO_LONG
    if refusal.status == 429:
        return ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED
    if _passes(refusal):
        return ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE
    return ErrorCode.ERROR_CODE_MODEL_MISCONFIGURED


def about_credit(refusal: Refusal) -> bool:
    """Whether the account lacks money. Words of a quota alone may mean one of each minute."""
    return (
        refusal.status == 402
        or _CREDIT_CODES.search(refusal.codes) is not None
        or _CREDIT_WORDS.search(refusal.words) is not None
    )


def about_key(refusal: Refusal) -> bool:
    """Whether the key is refused in words: some do so with 400."""
    return refusal.status < 500 and _KEY_WORDS.search(refusal.words) is not None


def about_model(refusal: Refusal) -> bool:
    """Whether the model is not there, or is none for this use."""
    return (
        _MODEL_WORDS.search(f"{refusal.codes} {refusal.param.lower()} {refusal.words}") is not None
    )


def _moderated(refusal: Refusal) -> bool:
    if _MODERATION_CODES.search(refusal.codes):
        return True
    return refusal.status < 500 and _MODERATION_WORDS.search(refusal.words) is not None


def _overflows(refusal: Refusal) -> bool:
    if refusal.status == 413 or _OVERFLOW_CODES.search(refusal.codes):
        return True
    return refusal.status in _TOO_LONG and _OVERFLOW_WORDS.search(refusal.words) is not None


def _passes(refusal: Refusal) -> bool:
    if refusal.status >= 500:
        return refusal.status not in _LASTING
    return refusal.status in _PASSING or (
        refusal.status == 400 and _BUSY_CODES.search(refusal.codes) is not None
    )
