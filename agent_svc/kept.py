"""PURE: fields of a message that are the provider's alone, put together from its deltas.

Nobody here knows what they mean (reasoning, its signatures, thought of a tool call), only how
deltas are joined: strings one after another, objects field by field, lists item by item, by
their `index` where they have one. What comes out can be sent back as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from agent_svc.reading import without_surrogates

MAX_CHARACTERS: Final = 2 * 1024 * 1024
"""Of one message. A field past it is dropped: half a signature is worse than none."""
_MAX_DEPTH: Final = 16

# Said again in each delta, and no piece of a longer text.
_LABELS: Final = frozenset({"id", "type", "format", "role", "name", "object", "status", "model"})
# Parts without an index that go on where the one before them ended.
_GOES_ON: Final = frozenset({"text", "thinking", "reasoning", "reasoning.text", "output_text"})


class Kept:
    """The fields of one message, or of one tool call."""

    def __init__(self) -> None:
        self._fields = _Object()
        self._room = MAX_CHARACTERS
        self._dropped: set[str] = set()

    def add(self, name: str, value: object) -> int:
        """Takes a delta of a field; returns how many characters it brought."""
        size = _characters(value)
        if name in self._dropped:
            return size
        self._room -= size
        if self._room < 0:
            self._dropped.add(name)
            self._fields.pop(name, None)
        else:
            self._fields.add(name, value, 0)
        return size

    def value(self) -> dict[str, Any]:
        """The fields as they are sent back."""
        return plain(self._fields)  # type: ignore[no-any-return] # an object is a dict


class Parts:
    """Content that is more than text: a list of parts."""

    def __init__(self) -> None:
        self._parts = _List()

    def add(self, content: object) -> None:
        """Takes a text, a part or a list of them."""
        for part in content if isinstance(content, list) else [content]:
            self._parts.add({"type": "text", "text": part} if isinstance(part, str) else part, 0)

    def value(self) -> list[Any]:
        """The parts as they are sent back."""
        return plain(self._parts)  # type: ignore[no-any-return] # a list is a list


class _Text(list[str]):
    """A string that grows: joined once, at the end."""


class _Object(dict[str, Any]):
    def add(self, name: str, value: object, depth: int) -> None:
        joined = _joined(self.get(name), value, depth + 1, label=name in _LABELS)
        if joined is not None:
            self[name] = joined


class _List(list[Any]):
    def __init__(self) -> None:
        super().__init__()
        self._places: dict[object, _Object] = {}

    def add(self, item: object, depth: int) -> None:
        held = self._goes_on(item) if isinstance(item, dict) else None
        joined = _joined(held, item, depth + 1)
        if held is None and joined is not None:
            self.append(joined)
            if isinstance(item, dict) and isinstance(index := item.get("index"), int | str):
                self._places[index] = joined

    def _goes_on(self, item: dict[str, Any]) -> _Object | None:
        """The item that this one is a delta of."""
        index = item.get("index")
        if isinstance(index, int | str):
            return self._places.get(index)
        last = self[-1] if self else None
        if not isinstance(last, _Object) or "signature" in last or "index" in last:
            return None
        same = last.get("type") == item.get("type") and item.get("type") in _GOES_ON
        return last if same else None


def _joined(held: Any, value: object, depth: int, *, label: bool = False) -> Any:
    """What stands in place of `held` once `value` has come; None: nothing can."""
    if value is None or depth > _MAX_DEPTH:
        return held
    match value:
        case str():
            if label:
                return value or held
            text = held if isinstance(held, _Text) else _Text()
            text.append(value)
            return text
        case dict():
            fields = held if isinstance(held, _Object) else _Object()
            for name, each in value.items():
                fields.add(name, each, depth)
            return fields
        case list():
            items = held if isinstance(held, _List) else _List()
            for each in value:
                items.add(each, depth)
            return items
        case bool():
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case float() if math.isfinite(value):
            return value
        case _:  # what JSON cannot say back
            return held


def plain(value: Any) -> Any:
    """A value of JSON without halves of characters: nothing else can be sent on."""
    match value:
        case _Text():
            return without_surrogates("".join(value))
        case str():
            return without_surrogates(value)
        case dict():
            return {without_surrogates(name): plain(each) for name, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case _:
            return value


def _characters(value: object, depth: int = 0) -> int:
    match value:
        case str():
            return len(value)
        case Mapping() if depth < _MAX_DEPTH:
            return sum(
                _characters(each, depth + 1) for name, each in value.items() if name not in _LABELS
            )
        case list() if depth < _MAX_DEPTH:
            return sum(_characters(each, depth + 1) for each in value)
        case _:
            return 0
