"""What the device itself returned in this request: the only source of entity cards (PROTOCOL
§4.9). Pure.

Entities are kept as the JSON text that the device sent and spliced into blocks as they are: keys
that nobody here knows, and numbers too large for us, reach the client unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import msgspec

from formatter_svc.blocks import EntityWord

# How many entities are shown for a reference that names no id.
MAX_SHOWN: Final = 50


class _Result(msgspec.Struct):
    """The three shapes of a tool's result: of reading, writing and deleting."""

    items: msgspec.Raw = msgspec.Raw(b"[]")
    item: msgspec.Raw = msgspec.Raw(b"null")
    id: msgspec.Raw = msgspec.Raw(b"null")


class _Identity(msgspec.Struct):
    id: str


_RESULT: Final = msgspec.json.Decoder(_Result)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_IDENTITY: Final = msgspec.json.Decoder(_Identity)
_ID: Final = msgspec.json.Decoder(str)

# What a decoder raises of JSON of another shape, or of no JSON.
_OTHER_SHAPE: Final = (msgspec.MsgspecError, UnicodeDecodeError)


class Entities:
    """The entities of one request, by kind and id; the latest result wins."""

    def __init__(self) -> None:
        self._known: dict[EntityWord, dict[str, bytes]] = {}
        self._latest: dict[EntityWord, list[str]] = {}

    def learn(self, kind: EntityWord, result: bytes) -> None:
        """Takes a tool's result. One of another shape holds no entities."""
        try:
            shape = _RESULT.decode(result)
        except _OTHER_SHAPE:
            return
        known = self._known.setdefault(kind, {})
        if held := _identified([shape.item]) or items_of(shape.items):
            known |= held
            self._latest[kind] = list(held)
        else:
            with suppress(*_OTHER_SHAPE):
                known.pop(_ID.decode(shape.id), None)

    def add(self, kind: EntityWord, found: dict[str, bytes]) -> None:
        """Takes what the device answered to a query; it is no tool's result."""
        self._known.setdefault(kind, {}).update(found)

    def find(self, kind: EntityWord, entity_id: str) -> bytes | None:
        """The entity's JSON."""
        return self._known.get(kind, {}).get(entity_id)

    def latest(self, kind: EntityWord) -> list[str]:
        """The ids of the latest result that holds the kind, in its order; without deleted ones."""
        known = self._known.get(kind, {})
        return [each for each in self._latest.get(kind, []) if each in known][:MAX_SHOWN]


def items_of(array: msgspec.Raw | bytes) -> dict[str, bytes]:
    """The entities of a JSON array, by id; empty where it is none."""
    try:
        return _identified(_LIST.decode(array))
    except _OTHER_SHAPE:
        return {}


def _identified(objects: Iterable[msgspec.Raw]) -> dict[str, bytes]:
    """The objects that carry an id, by it."""
    found = {}
    for each in objects:
        with suppress(*_OTHER_SHAPE):
            found[_IDENTITY.decode(each).id] = bytes(each)
    return found
