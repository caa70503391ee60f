"""PURE: what a whole answer says and costs, for calls that are read in one piece: a completion,
or a response of the Responses API."""

from __future__ import annotations

import re
from typing import Any, Final

from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from runtime.model.failures import Unreadable

# Providers have words of their own for an answer that was cut short or stopped.
_CUT_SHORT: Final = re.compile("length|max|filter|safety|sensitive|guardrail|recitation|error")
_THOUGHT: Final = re.compile(r"</(?:think|thinking|thought|reasoning)>")


def content(completion: ChatCompletion) -> str:
    """What the model said, without its thinking; nothing where it stopped early or refused.

    Raises Unreadable.
    """
    if not isinstance(completion, ChatCompletion):
        raise Unreadable("the answer is no completion")
    choices = completion.choices or []
    if not choices or _CUT_SHORT.search(str(choices[0].finish_reason).lower()):
        return ""
    message: Any = choices[0].message
    said = message.content if message else None
    if isinstance(said, list):  # parts, of which thinking is one kind
        said = "".join(_text(part) for part in said)
    return _without_thought(said) if isinstance(said, str) else ""


def content_of_response(response: Response) -> str:
    """What the model said; nothing where it stopped early, failed or refused."""
    if not isinstance(response, Response):
        raise Unreadable("the answer is no response")
    whole = response.status in {None, "completed"}
    return _without_thought(response.output_text) if whole else ""


def _without_thought(said: str) -> str:
    return _THOUGHT.split(said)[-1]  # the opening tag may be missing


def _text(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def tokens(completion: ChatCompletion) -> tuple[int, int] | None:
    """What was asked and said, in tokens; None where the provider does not tell."""
    usage = completion.usage
    if usage is None:
        return None
    return max(0, usage.prompt_tokens or 0), max(0, usage.completion_tokens or 0)


def tokens_of_response(response: Response) -> tuple[int, int] | None:
    """What was asked and said, in tokens; None where the provider does not tell."""
    usage = response.usage
    return (max(0, usage.input_tokens or 0), max(0, usage.output_tokens or 0)) if usage else None
