"""PURE: what a refused request teaches of its model.

A lesson is drawn from an error only that names what it refuses, by its `param`, its code or
in its words, and only if that was sent: the next request then differs. Rules stand in order,
the narrow before the wide: `parallel_tool_calls` is refused in words that speak of tools too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

from runtime.model.profiles import Changes, Lesson, Profile
from runtime.model.refusals import Refusal

MOST: Final = 8
"""Lessons that one call may take; each costs a request that is refused."""

# llama.cpp refuses with 500, gateways answer 404 where no server takes the request.
_STATUSES: Final = frozenset({400, 404, 405, 422, 500, 501})

_REFUSING: Final = re.compile(
    r"un(?:supported|known|recogni[sz]ed|expected|available)|not (?:be )?(?:support|permit|allow"
    r"|recogni|available|enabled|valid|compatible|defined|implemented|accept|one of|a valid|repeat"
    r"|exist)|n't (?:support|accept|allow)|no such|invalid|extra|deprecated|must|cannot|can't"
    r"|requires?|incompatible|only|disabled|either|failed to|removed|at most|exceed"
    r"|too (?:large|high)"
)

_WINDOW: Final = re.compile(
    r"(?:context (?:length|window|size)|maximum|limit|n_ctx)[^\d]{0,40}?(\d{3,8})"
    r"|> ?(\d{3,8}) maximum|(\d{3,8}) (?:maximum )?context"
)

Rule: TypeAlias = Callable[[Refusal, Profile], Changes | None]


def lesson(refusal: Refusal, profile: Profile, tried: Collection[Profile] = ()) -> Lesson | None:
    """What the refusal of a request that was made by `profile` teaches; None: nothing.

    It never leads back to `profile`, nor to one of those that were `tried` in vain.
    """
    if refusal.status not in _STATUSES:
        return None
    for name, rule in _RULES.items():
        if changes := rule(refusal, profile):
            drawn = Lesson(name, changes)
            if drawn.applied(profile) not in (profile, *tried):
                return drawn
    return None


def window(refusal: Refusal) -> int | None:
    """The context window in tokens, where an error says that it was exceeded, and names it."""
    found = _WINDOW.search(refusal.words.replace(",", ""))
    return int(next(number for number in found.groups() if number)) if found else None


def _names(refusal: Refusal, *parameters: str) -> bool:
    """Whether the error refuses one of these, by `param` or in its words."""
    if refusal.param:
        return re.split(r"[.\[]", refusal.param)[0] in parameters
    words = refusal.words
    named = any(re.search(rf"\b{re.escape(each.lower())}\b", words) for each in parameters)
    return named and _REFUSING.search(words) is not None


_RESPONSES_ONLY: Final = re.compile(
    r"only (?:supported|available) (?:in|on|with|via|through) (?:the )?/?(?:v1/)?responses"
    r"|use (?:the )?/?v1/responses (?:instead|endpoint|api)(?! or)"
)


def _api(refusal: Refusal, profile: Profile) -> Changes | None:
    if profile.api == "chat" and _RESPONSES_ONLY.search(refusal.words):
        return {"api": "responses"}
    if profile.api == "responses" and refusal.status in {404, 405, 501}:
        # A server without this API does not know the path; one that has it names the model.
        return None if "model" in refusal.words else {"api": "chat"}
    return None


def _effort(refusal: Refusal, profile: Profile) -> Changes | None:
    words = refusal.words
    if not _names(refusal, "reasoning_effort", "reasoning", "reasoning.effort"):
        return None
    if re.search(r"\b(?:tools?|functions?)\b", words):
        # Refused with tools: without thought it goes on chat, else by the other API alone.
        tried = profile.tools_reasoning_effort == "none"
        return {"api": "responses"} if tried else {"tools_reasoning_effort": "none"}
    sent = (
        profile.reasoning_effort,
        profile.tools_reasoning_effort,
        profile.quick_reasoning_effort,
    )
    if refusal.param in {"", "reasoning_effort", "reasoning", "reasoning.effort"} and any(sent):
        return {
            "reasoning_effort": None,
            "tools_reasoning_effort": None,
            "quick_reasoning_effort": None,
        }
    return None


_SEALED: Final = re.compile(
    r"encrypted[ _](?:reasoning|content)|items are not persisted|required '?reasoning'? item"
)


def _encrypted(refusal: Refusal, profile: Profile) -> Changes | None:
    """Models that do not reason, and gateways that ask with another account than before."""
    told = f"{refusal.words} {refusal.codes}"
    if profile.api != "responses" or not (_names(refusal, "include") or _SEALED.search(told)):
        return None
    return {"encrypted_reasoning": False}


def _stream_options(refusal: Refusal, _: Profile) -> Changes | None:
    named = _names(refusal, "stream_options", "include_usage")
    return {"stream_options": False} if named else None


def _stream(refusal: Refusal, _: Profile) -> Changes | None:
    told = refusal.param == "stream" or re.search(
        r"(?:not support(?:ed)?|verified to) stream(?:ing)?\b|stream(?:ing)? (?:is )?not support",
        refusal.words,
    )
    return {"stream": False} if told else None


def _parallel(refusal: Refusal, _: Profile) -> Changes | None:
    return {"parallel_tool_calls": None} if _names(refusal, "parallel_tool_calls") else None


def _temperature(refusal: Refusal, _: Profile) -> Changes | None:
    return {"temperature": None} if _names(refusal, "temperature") else None


def _max_tokens(refusal: Refusal, profile: Profile) -> Changes | None:
    fields = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    if profile.max_output_tokens is None or not _names(refusal, *fields):
        return None
    if re.search(r"too large|at most|less than|exceed|maximum|range|<=", refusal.words):
        return {"max_output_tokens": None}
    first = re.search(r"\bmax_(?:completion_)?tokens\b", refusal.param or refusal.words)
    if first is None or first[0] != profile.max_tokens_field:
        return None
    other = "max_tokens" if first[0] == "max_completion_tokens" else "max_completion_tokens"
    return {"max_tokens_field": other}


def _no_max_tokens(refusal: Refusal, _: Profile) -> Changes | None:
    """By neither name."""
    named = _names(refusal, "max_tokens", "max_completion_tokens", "max_output_tokens")
    return {"max_output_tokens": None} if named else None


_NEXT_FORMAT: Final = {"json_schema": "json_object", "json_object": "none", "none": "none"}


def _response_format(refusal: Refusal, profile: Profile) -> Changes | None:
    named = _names(
        refusal,
        *("response_format", "response format", "response_schema", "json_schema", "json_object"),
        *("json_mode", "json mode", "structured output", "structured outputs", "guided_json"),
        *("grammar", "text"),
    )
    if refusal.param.startswith("text") and not refusal.param.startswith("text.format"):
        return None
    if not refusal.param and not re.search(r"json|response|structured|grammar", refusal.words):
        return None
    return {"response_format": _NEXT_FORMAT[profile.response_format]} if named else None


def _strict(refusal: Refusal, profile: Profile) -> Changes | None:
    by_param = refusal.param.rpartition(".")[2] == "strict"
    by_words = _names(refusal, "strict") and "tool" in refusal.words + refusal.param
    return {"strict_tools": False} if profile.strict_tools and (by_param or by_words) else None


def _type_arrays(refusal: Refusal, profile: Profile) -> Changes | None:
    words = refusal.words + " " + refusal.param.lower()
    if not re.search(r"\btools?\b|function|parameters|schema", words):
        return None
    if profile.type_arrays == "any_of" and re.search(r"any_?of|union", words):
        return {"type_arrays": "drop"}
    told = re.search(
        r"not repeating|cannot start list|type['\"`.:)\]]*.{0,80}\b(?:array|list|sequence)\b"
        r"|(?:array|list|union)s? (?:of|for) types?|type arrays?|multiple types",
        words,
    )
    if not told:
        return None
    return {"type_arrays": "any_of" if profile.type_arrays == "keep" else "drop"}


# Constraints, without which a schema still says what it is about.
_SPARE: Final = (
    *("additionalProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems"),
    *("default", "$schema", "title", "examples", "multipleOf"),
)


def _keywords(refusal: Refusal, profile: Profile) -> Changes | None:
    words = refusal.message + " " + refusal.param
    about_tools = re.search(r"\btools?\b|function|parameters|schema", words.lower())
    if not about_tools or refusal.param.startswith("text."):  # the answer's form, of Responses
        return None
    named = [
        each
        for each in _SPARE
        if each not in profile.schema_without
        and re.search(rf"['\"`.]{re.escape(each)}(?:['\"`]|$)", words)
    ]
    if not named or not _REFUSING.search(refusal.words):
        return None
    return {"schema_without": (*profile.schema_without, *named)}


def _extra_body(refusal: Refusal, profile: Profile) -> Changes | None:
    named = next((each for each in profile.extra_body if _names(refusal, each)), None)
    if named is None:
        return None
    kept: dict[str, Any] = {k: v for k, v in profile.extra_body.items() if k != named}
    return {"extra_body": kept}


def _thinking(refusal: Refusal, profile: Profile) -> Changes | None:
    """Alibaba's Qwen thinks only in streams, and says so."""
    if re.search(r"enable_thinking must be (?:set to )?false", refusal.words):
        return {"extra_body": {**profile.extra_body, "enable_thinking": False}}
    return None


def _role(refusal: Refusal, profile: Profile) -> Changes | None:
    words = refusal.words
    about_role = "role" in words or re.fullmatch(r"messages\W?\d+\W*(\.?role)?", refusal.param)
    if not about_role or not _REFUSING.search(words):
        return None
    if profile.system_role == "developer" and re.search(r"\bdeveloper\b", words):
        return {"system_role": "system"}
    if profile.system_role == "system" and re.search(r"\bsystem\b", words):
        return {"system_role": "user"}
    return None


_NO_TOOLS: Final = re.compile(
    "|".join(
        (
            r"(?:not|n't) (?:currently )?support (?:\w+ ){0,3}?(?:tools?\b|functions?\b)",
            r"(?:not|n't) (?:currently )?support (?:\w+ ){0,3}?(?:tool|function)[ _-]?(?:call|us)",
            r"(?:tools?|tool[ _](?:use|choice|calls?|calling))[`'\"]? (?:is|are) (?:not |un)[a-z]",
            r"(?:functions?|function[ _]call(?:s|ing)?)[`'\"]? (?:is|are) (?:not |un)[a-z]",
            r"support (?:for )?tool (?:use|call)|tool choice requires|enable-auto-tool-choice",
            r"tools? (?:param|parameter) requires|requires --jinja",
            r"un(?:supported|known|recogni[sz]ed) (?:\w+)?\W*tools\b",
        )
    )
)


def _tools(refusal: Refusal, _: Profile) -> Changes | None:
    if refusal.param in {"tools", "tool_choice"}:
        told = _REFUSING.search(f"{refusal.code} {refusal.words}".replace("_", " ")) is not None
        told = told and re.search(r"schema|properties|name", refusal.words) is None
    else:
        words = refusal.words.replace("parallel_tool_calls", "")
        told = _NO_TOOLS.search(words) is not None
    return {"tools": False} if told else None


def _dimensions(refusal: Refusal, _: Profile) -> Changes | None:
    named = _names(refusal, "dimensions", "output dimensions", "matryoshka")
    return {"dimensions": False} if named else None


def _encoding(refusal: Refusal, _: Profile) -> Changes | None:
    named = _names(refusal, "encoding_format", "base64")
    return {"embedding_base64": False} if named else None


_RULES: Final[dict[str, Rule]] = {
    "reasoning_effort": _effort,
    "encrypted_reasoning": _encrypted,
    "api": _api,
    "thinking": _thinking,
    "stream_options": _stream_options,
    "stream": _stream,
    "parallel_tool_calls": _parallel,
    "temperature": _temperature,
    "max_tokens": _max_tokens,
    "no_max_tokens": _no_max_tokens,
    "extra_body": _extra_body,
    "system_role": _role,
    "strict": _strict,
    "type_arrays": _type_arrays,
    "schema_keywords": _keywords,
    "tools": _tools,
    "response_format": _response_format,
    "dimensions": _dimensions,
    "encoding_format": _encoding,
}
