"""JSON Schema answers: the router's choice of an agent, by words. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from devstack.offline_model.answers import THIS
from devstack.offline_model.language import read
from devstack.offline_model.words import Act, kind_of

_GENERAL: Final = "general_agent"
_ABOUT_TASKS: Final = re.compile(
    r"\b(?:due|overdue|late|deadline|remind me|to-?do|assign|priority|finish|complete|done)\b", re.I
)
_WRITING: Final = (Act.CREATE, Act.UPDATE, Act.COMPLETE, Act.DELETE)


def answer(schema: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns an object that the schema takes; a choice of agent is made by the user's words."""
    properties = schema.get("properties", {})
    filled: dict[str, Any] = {name: _least(sub) for name, sub in properties.items()}
    if "agent" not in properties:
        return filled
    said = next((m.get("content") for m in reversed(messages) if m.get("role") == "user"), "")
    agent, confidence, reason = choose(
        said if isinstance(said, str) else "", properties["agent"].get("enum", ())
    )
    chosen = {"agent": agent, "confidence": confidence, "reason": reason}
    return {**filled, **{name: chosen[name] for name in chosen if name in properties}}


def choose(message: str, offered: Sequence[str]) -> tuple[str, float, str]:
    """Returns (agent, confidence 0–1, reason). The reason holds none of the user's words."""
    kind = kind_of(re.sub(r"\"[^\"]*\"", "", message))
    intent = read(message, kind or "task", datetime.now(UTC))
    if intent.act in (Act.REMEMBER, Act.RECALL, Act.OVERVIEW):
        return _offered(_GENERAL, offered, 0.9, "about the user, or about everything")
    if kind:
        return _offered(f"{kind}_agent", offered, 0.9, f"a word for {kind}s")
    if THIS.match(intent.title) and intent.act in _WRITING:
        return _offered("task_agent", offered, 0.3, "an item that only the popup knows")
    if intent.act in _WRITING or _ABOUT_TASKS.search(message):
        return _offered("task_agent", offered, 0.7, "words that tasks are spoken of with")
    return _offered(_GENERAL, offered, 0.6, "no word of any kind of item")


def _offered(
    agent: str, offered: Sequence[str], confidence: float, why: str
) -> tuple[str, float, str]:
    if offered and agent not in offered:
        return offered[0], 0.2, "the fitting agent is not offered"
    return agent, confidence, f"offline rules: {why}"


def _least(schema: Mapping[str, Any]) -> Any:
    """The least value of a schema's type."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _least(sub) for name, sub in schema.get("properties", {}).items()}
    return {"string": "", "number": 0, "integer": 0, "boolean": False, "array": []}.get(str(kind))
