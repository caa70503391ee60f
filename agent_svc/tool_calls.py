"""PURE: the tool calls of one answer, put together from the deltas that they come in.

Providers differ in all that tells one call from the next: some give every call the index 0, or
none, some an id of its own to each delta, some the name in pieces, or again each time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import orjson

from agent_svc.clean_json import clean
from agent_svc.events import ToolCallReady
from agent_svc.kept import Kept
from agent_svc.reading import (
    place_of,
    text_of,
    text_of_arguments,
    text_of_id,
    without_surrogates,
)

MAX_CALLS: Final = 256
"""More than anybody runs; deltas that would begin more are dropped."""

_OURS: Final = frozenset({"index", "id", "type", "function"})
_OURS_IN_FUNCTION: Final = frozenset({"name", "arguments"})
_LEGACY: Final = -1
"""The place of the one call that `function_call` tells of."""


@dataclass(slots=True)
class _OpenCall:
    provider_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    ids_change: bool = False
    kept: Kept = field(default_factory=Kept)
    kept_in_function: Kept = field(default_factory=Kept)

    def begins_another(self, provider_id: str, name: str, arguments: str) -> bool:
        """Whether a delta at this call's place belongs to a call of its own.

        Only a name can begin a call: one that comes with arguments when these are whole, or,
        before there are any, another one with an id of its own.
        """
        if not name or not self.name:
            return False
        other_id = bool(provider_id and self.provider_id) and provider_id != self.provider_id
        if written := "".join(self.arguments):
            if not _is_json(written):
                return False
            return bool(arguments) or (other_id and not self.ids_change) or name != self.name
        return other_id and name != self.name

    def is_told_again(self, provider_id: str, name: str, arguments: str) -> bool:
        """Whether a delta is this call once more, whole: run twice it could change things twice."""
        if not provider_id or (provider_id, name) != (self.provider_id, self.name):
            return False
        return arguments == "".join(self.arguments) and _is_json(arguments)

    def add(self, provider_id: str, name: str, arguments: str) -> None:
        if provider_id and self.provider_id and provider_id != self.provider_id:
            self.ids_change = True
        self.provider_id = self.provider_id or provider_id
        if name and not (self.name and self.arguments):
            # The whole name, once more or so far; else its next piece.
            self.name = name if name.startswith(self.name) else self.name + name
        if arguments:
            self.arguments.append(arguments)

    def ready(self, index: int) -> ToolCallReady:
        kept = self.kept.value()
        if function := self.kept_in_function.value():
            kept["function"] = function
        return ToolCallReady(
            index,
            without_surrogates(self.provider_id),
            name_of(without_surrogates(self.name)),
            clean(without_surrogates(joined(self.arguments))),
            kept,
        )


class ToolCalls:
    """The tool calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_OpenCall] = []
        self._at: dict[int, _OpenCall] = {}  # the newest at each of the provider's places

    def add(self, deltas: list[Any]) -> int:
        """Takes the deltas of one chunk; returns how many characters they brought."""
        begun: list[_OpenCall] = []  # two deltas of one chunk are two calls, if both have names
        return sum(self._add(delta, begun) for delta in deltas if isinstance(delta, dict))

    def add_legacy(self, delta: dict[str, Any]) -> int:
        """Takes a delta of `function_call`, as it was written while there was but one."""
        return self._add({"index": _LEGACY, "function": delta}, [])

    def ready(self) -> list[ToolCallReady]:
        """All calls, in the order they were begun."""
        return [call.ready(index) for index, call in enumerate(self._calls)]

    def _add(self, delta: dict[str, Any], begun: list[_OpenCall]) -> int:
        function = delta.get("function")
        function = function if isinstance(function, dict) else delta  # flat, as some write it
        provider_id = text_of_id(delta.get("id"))
        name, arguments = (
            text_of(function.get("name")),
            text_of_arguments(function.get("arguments")),
        )
        index = place_of(delta.get("index"))
        call = self._place(index, provider_id)
        if call is None and not (provider_id or name or arguments):
            return 0
        if call is not None and call.is_told_again(provider_id, name, arguments):
            return len(name) + len(arguments)
        second = bool(name) and any(call is each for each in begun)
        if call is None or second or call.begins_another(provider_id, name, arguments):
            if len(self._calls) >= MAX_CALLS:
                return len(name) + len(arguments)
            call = _OpenCall()
            self._calls.append(call)
            if index is not None:
                self._at[index] = call
        begun.append(call)
        call.add(provider_id, name, arguments)
        return len(name) + len(arguments) + _keep(call, delta, function)

    def _place(self, index: int | None, provider_id: str) -> _OpenCall | None:
        if index is not None:
            return self._at.get(index)
        same = [call for call in self._calls if provider_id and call.provider_id == provider_id]
        candidates = same or self._calls
        return candidates[-1] if candidates else None


def _keep(call: _OpenCall, delta: dict[str, Any], function: dict[str, Any]) -> int:
    size = 0
    for name in delta.keys() - _OURS - _OURS_IN_FUNCTION:
        size += call.kept.add(name, delta[name])
    if function is not delta:
        for name in function.keys() - _OURS_IN_FUNCTION:
            size += call.kept_in_function.add(name, function[name])
    return size


_TOKEN_OR_PLACE: Final = re.compile(r"<\|.*|:\d+$")


def name_of(written: str) -> str:
    """The tool that is meant: models write `functions.list_tasks`, `list_tasks:0`, and tokens of
    their own behind it."""
    name = _TOKEN_OR_PLACE.sub("", written.strip().strip("\"'`")).strip()
    return re.split(r"[.:]", name)[-1] or name


def joined(pieces: Sequence[str]) -> str:
    """Arguments from their deltas. Some servers repeat in each all that was written so far: that
    is so where each begins with the one before, and the last is whole but all together is not."""
    whole, told = "".join(pieces), [piece for piece in pieces if piece]
    repeats = len(told) > 1 and all(b.startswith(a) for a, b in pairwise(told))
    return told[-1] if repeats and _is_json(told[-1]) and not _is_json(whole) else whole


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
