"""PURE: the messages of a run, as they go back to the model in the next round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from agent_svc.context import Message
from agent_svc.events import ToolCallReady


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call of the model's, with an id that no other message of the run has."""

    ready: ToolCallReady
    id: str


# What ends an answer that has tool calls; without any, they were lost on the way.
CALLS_FOLLOW: Final = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})


def assistant_message(kept: Mapping[str, Any], calls: list[Called]) -> Message:
    """The model's own message, as it goes back to it: what was null is left out."""
    message: Message = {"role": "assistant"}
    message |= {name: value for name, value in kept.items() if value is not None}
    if calls:
        message["tool_calls"] = [_said_back(called) for called in calls]
    return message


def _said_back(called: Called) -> dict[str, Any]:
    kept = dict(called.ready.kept)
    function = {
        "name": called.ready.name or "unknown",
        "arguments": _echoed(called.ready.arguments),
    }
    of_function = kept.pop("function", {})
    return {"id": called.id, "type": "function", "function": of_function | function} | kept


def result_message(called: Called, result: str) -> Message:
    """What came of a call, as the model reads it."""
    return {"role": "tool", "tool_call_id": called.id, "content": result}


def _echoed(arguments: str) -> str:
    """The arguments as they may stand in the history: some providers refuse broken JSON there."""
    try:
        valid = isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        valid = False
    return arguments if valid else "{}"
