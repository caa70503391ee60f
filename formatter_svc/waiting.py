"""The order of an answer while the device is asked for entities: what comes later waits, bounded.

Pure: things in, things that are ready out, in the order in which the model said them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from formatter_svc.blocks import EntityWord
from formatter_svc.json_object import Skipped
from formatter_svc.reasons import Reason
from formatter_svc.texts import Text

# Bytes of JSON and characters of text that may wait behind unanswered queries.
MAX_WAITING: Final = 1024 * 1024
# An entity that fills a frame of the device has no room in one that holds a card's words, too.
MAX_SHOWN_BYTES: Final = 1024 * 1024 - 512


@dataclass(frozen=True, slots=True)
class Shown:
    """A block that is ready: its type and its JSON."""

    type: str
    data: bytes


@dataclass(slots=True)
class Query:
    """Entities of one reference, in its order. The device is asked for those not in `found`."""

    kind: EntityWord
    ids: tuple[str, ...]
    found: dict[str, bytes]
    answered: bool = False
    # Why those that are still not found are left out.
    reason: Reason = Reason.ENTITY_NOT_FOUND

    def cards(self) -> list[Shown | Skipped]:
        """A card, or why there is none, for each id."""
        return [self._card(each) for each in self.ids]

    def _card(self, entity_id: str) -> Shown | Skipped:
        item = self.found.get(entity_id)
        if item is None or len(item) > MAX_SHOWN_BYTES:
            return Skipped(self.reason, "entity_ref", 0)
        return Shown("entity_ref", b'{"entity":"%b","item":%b}' % (self.kind.encode(), item))


@dataclass(slots=True)
class Line:
    """What waits, first come first out."""

    _things: deque[Text | Shown | Skipped | Query] = field(default_factory=deque)
    _size: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._things

    def put(self, thing: Text | Shown | Skipped | Query) -> None:
        """Adds a thing. Where too much waits, queries are no longer waited for."""
        self._things.append(thing)
        self._size += _size(thing)
        if self._size > MAX_WAITING:
            self.give_up(Reason.WAITED_TOO_LONG)

    def give_up(self, reason: Reason) -> None:
        """Waits for no query any more."""
        for thing in self._things:
            if isinstance(thing, Query) and not thing.answered:
                thing.answered, thing.reason = True, reason

    def ready(self) -> list[Text | Shown | Skipped]:
        """Takes all that waits for nothing."""
        ready: list[Text | Shown | Skipped] = []
        while self._things:
            thing = self._things[0]
            if isinstance(thing, Query) and not thing.answered:
                break
            self._things.popleft()
            self._size -= _size(thing)
            ready += thing.cards() if isinstance(thing, Query) else [thing]
        return ready


def _size(thing: Text | Shown | Skipped | Query) -> int:
    match thing:
        case Text(chunk):
            return len(chunk)
        case Shown(data=data):
            return len(data)
        case _:
            return 0
