"""PURE: where the chunks of different providers hold what every one of them tells."""

from __future__ import annotations

from typing import Any, Final

from agent_svc.events import ProviderError, Usage
from agent_svc.kept import Kept
from agent_svc.reading import code_of, place_of, tokens_of

_USAGE: Final = (
    # OpenAI's; Anthropic's, which some gateways pass on; Bedrock's, by two names; Gemini's.
    ("prompt_tokens", "completion_tokens"),
    ("input_tokens", "output_tokens"),
    ("inputTokens", "outputTokens"),
    ("inputTokenCount", "outputTokenCount"),
    ("promptTokenCount", "candidatesTokenCount"),
)
_THINKS: Final = ("reason", "think", "thought")


def choices_of(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices that are any: one alone may stand for the list."""
    choices = chunk.get("choices")
    if isinstance(choices, list):
        return [choice for choice in choices if isinstance(choice, dict)]
    if isinstance(choices, dict):
        return [choices]
    if isinstance(message := chunk.get("message"), dict):  # as Ollama writes its own form
        reason = chunk.get("done_reason") or ("stop" if chunk.get("done") is True else None)
        return [{"delta": message, "finish_reason": reason}]
    return []


def error_in(chunk: dict[str, Any]) -> ProviderError | None:
    """The error that stands where a chunk would be."""
    if error := chunk.get("error"):
        return error_of(chunk if isinstance(error, str) else error)
    if chunk.get("object") == "error" or chunk.get("type") == "error":  # vLLM, Anthropic
        return error_of(chunk)
    if chunk.get("choices"):
        return None
    if chunk.get("detail") or chunk.get("errors"):  # FastAPI
        return error_of(chunk)
    bare = isinstance(chunk.get("message") or chunk.get("msg"), str) and "choices" not in chunk
    return error_of(chunk) if bare and _fails(chunk) else None


def _fails(chunk: dict[str, Any]) -> bool:
    """Whether a message without an answer is one of failure, and no sign of life."""
    told = chunk.get("status") or chunk.get("statusCode")
    if told is None or chunk.get("code"):
        return chunk.get("type") not in {"ping", "heartbeat", "keepalive"}
    status = place_of(told)
    return told in {"error", "failed"} if status is None else status >= 400


def error_of(error: object) -> ProviderError:
    """By a provider's word or number for it; its message may quote anything."""
    inner = error.get("error") if isinstance(error, dict) else None
    error = inner if isinstance(inner, dict) else error
    return ProviderError(code_of(error), error)


def usage_of(usage: dict[str, Any]) -> Usage | None:
    """The tokens that a report tells; None for one that cannot be."""
    for names in _USAGE:
        if any(name in usage for name in names):
            asked, said = (tokens_of(usage.get(name)) for name in names)
            if asked is not None and said is not None and (asked or said):
                return Usage(asked, said)
            return None
    return None


def vendors_usage(chunk: dict[str, Any]) -> Any:
    """Usage in a field of the vendor's own (Groq's `x_groq`), or in the choice (Moonshot)."""
    for value in (*chunk.values(), *choices_of(chunk)):
        if isinstance(value, dict):
            for usage in (value.get("usage"), value):
                if isinstance(usage, dict) and usage_of(usage) is not None:
                    return usage
    return None


def is_text(part: object) -> bool:
    """Whether a part of the content is what is shown of it, and no more."""
    kind = part.get("type", "text") if isinstance(part, dict) else None
    return kind in {"text", "output_text"}


def text_of_part(part: object) -> str:
    """What is shown of a part: none of its thinking."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or thinks(part.get("type")):
        return ""
    text = part.get("text")
    if isinstance(text, dict):  # as OpenAI's assistants write it
        text = text.get("value")
    return text if isinstance(text, str) else ""


def thinks(kind: object) -> bool:
    """Whether a part or a field of this name holds thinking."""
    return isinstance(kind, str) and any(word in kind for word in _THINKS)


def thought_in(part: object) -> int:
    """How many characters of thinking a part holds."""
    return Kept().add("", part) if isinstance(part, dict) and thinks(part.get("type")) else 0
