"""One request as the rules see it: what was asked, what tools said so far. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from devstack.offline_model.words import KINDS, Kind

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """A tool call that has been answered: with a value, or with the reason it failed."""

    tool: str
    arguments: Mapping[str, Any]
    value: Mapping[str, Any] | None
    failure: str = ""

    @property
    def items(self) -> list[Item]:
        """The entities in the value, whichever of the catalogue's shapes it has."""
        if self.value is None:
            return []
        items = self.value.get("items")
        if isinstance(items, list):
            return [item for item in items if isinstance(item, dict)]
        item = self.value.get("item")
        return [item] if isinstance(item, dict) else []

    @property
    def total(self) -> int | None:
        """How many there are in all, where the value says so."""
        total = self.value.get("total") if self.value else None
        return total if isinstance(total, int) else None


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the model wants run."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One request: the user's last message, the tools offered, and the results since."""

    system: str
    message: str
    tools: Mapping[str, Mapping[str, Any]]
    results: Sequence[Result]
    clock: datetime

    @property
    def home(self) -> bool:
        """Whether the answer may hold blocks: the prompt names its surface, or a block."""
        named = re.search(r"^(?:- |#.*\()surface: (\w+)", self.system, re.M)
        return named[1] == "home" if named else "entity_ref" in self.system

    @property
    def kind(self) -> Kind:
        """The kind that the agent in charge looks after: the one whose items it may create."""
        return next((kind for kind in KINDS if f"create_{kind}" in self.tools), "task")

    @property
    def now(self) -> datetime:
        """The clock in the user's time zone, where the prompt names one."""
        return self.clock.astimezone(_zone(self.system))

    @property
    def scope(self) -> tuple[Kind, str] | None:
        """The item that a popup stands on: (kind, id)."""
        for value in self._data():
            for kind in KINDS:
                if value.get("type") == kind and isinstance(value.get("id"), str):
                    return kind, value["id"]
        return None

    def preference(self, key: str) -> str:
        """Returns what the prompt says is remembered under a key, empty where nothing is."""
        found = [value for value in self._data() if value.get("key") == key and "tier" in value]
        text = str(found[0].get("text", "")) if found else ""
        return text.removeprefix(f"{key}:").strip(" .\"'")

    @property
    def memories(self) -> list[str]:
        """What the prompt says is remembered, line by line."""
        return [str(value.get("text", "")) for value in self._data() if "tier" in value]

    def _data(self) -> list[dict[str, Any]]:
        """The lines of the prompt that are JSON objects."""
        lines = (_object(line) for line in self.system.splitlines() if line.startswith("{"))
        return [value for value in lines if value is not None]

    def offers(self, tool: str) -> bool:
        """Whether a tool may be called."""
        return tool in self.tools

    def of(self, tool: str) -> list[Result]:
        """Returns a tool's results so far, in order."""
        return [result for result in self.results if result.tool == tool]

    def call(self, tool: str, **arguments: Any) -> Call:
        """Returns a call with those arguments that are set and that the tool knows."""
        known = self.tools[tool].get("properties", {})
        return Call(
            tool,
            {key: value for key, value in arguments.items() if key in known and value is not None},
        )


def _zone(system: str) -> tzinfo:
    match = re.search(r"^- time zone: ([A-Za-z0-9_+\-/]+)", system, re.M)
    try:
        return ZoneInfo(match[1]) if match else UTC
    except (OSError, KeyError, ValueError):
        return UTC


def turn_of(request: Mapping[str, Any], clock: datetime) -> Turn:
    """Returns a request to /v1/chat/completions as a turn.

    Messages before the last one of the user's are history, which the rules do not read.
    """
    messages = [message for message in request.get("messages", []) if isinstance(message, dict)]
    system = "\n".join(_text(m) for m in messages if m.get("role") in ("system", "developer"))
    asked = max((i for i, m in enumerate(messages) if m.get("role") == "user"), default=-1)
    return Turn(
        system=system,
        message=_text(messages[asked]) if asked >= 0 else "",
        tools=_tools(request.get("tools")),
        results=_results(messages[asked + 1 :]),
        clock=clock,
    )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _tools(offered: Any) -> dict[str, Mapping[str, Any]]:
    functions = [tool.get("function", {}) for tool in offered or [] if isinstance(tool, dict)]
    return {f["name"]: f.get("parameters") or {} for f in functions if "name" in f}


def _results(messages: Sequence[Mapping[str, Any]]) -> list[Result]:
    calls: dict[str, Mapping[str, Any]] = {}
    results: list[Result] = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            calls[call["id"]] = call["function"]
        if message.get("role") == "tool":
            function = calls.get(message.get("tool_call_id", ""), {})
            results.append(_result(function, _text(message)))
    return results


def _result(function: Mapping[str, Any], content: str) -> Result:
    name = function.get("name", "")
    arguments = _object(function.get("arguments") or "{}") or {}
    value = _object(content)
    if value is None:
        return Result(name, arguments, None, content.strip() or "no answer")
    if "error" in value or "rejected" in value:
        return Result(name, arguments, None, _reason(value))
    return Result(name, arguments, value)


def _reason(value: Mapping[str, Any]) -> str:
    if "rejected" in value:
        reason = value.get("reason")
        return f"you said no{f' ({reason})' if reason else ''}"
    error = value["error"]
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "it failed")
    return str(error)


def _object(text: str) -> dict[str, Any] | None:
    """Returns the JSON object in a text that may be marked up around it."""
    start, end = text.find("{"), text.rfind("}")
    try:
        value = orjson.loads(text[start : end + 1]) if start >= 0 else None
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
