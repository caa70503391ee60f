"""PURE: the items of a response that is being streamed: what is known of each so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from agent_svc.reading import text_of, text_of_arguments
from agent_svc.tool_calls import joined

Json: TypeAlias = Mapping[str, Any]
Keys: TypeAlias = list[str | int]
"""What an event calls an item: its ids, then its index."""


@dataclass(slots=True)
class Message:
    """The text of one item."""

    said: list[str] = field(default_factory=list)
    part: list[str] = field(default_factory=list)  # what was said of the part that is under way
    last_part: tuple[object, str] = (None, "")  # its place in the item, and its text
    closed: bool = False

    def add(self, text: str) -> str:
        """A piece of it, as it is said."""
        self.said.append(text)
        self.part.append(text)
        return text

    def part_is(self, text: str, place: object) -> str:
        """A part's whole text, which two events tell; returns what was not said of it."""
        said = "".join(self.part)
        self.part.clear()
        told = self.last_part[1] and (place == self.last_part[0] or text == self.last_part[1])
        if told and not said:
            return ""
        self.last_part = place, text
        missing = rest(text, said)
        self.said.append(missing)
        return missing

    def ended_with(self, text: str) -> bool:
        """Whether this was said last, which so is told once more."""
        return text == self.last_part[1] or "".join(self.said).endswith(text)

    def is_whole(self, text: str) -> str:
        """The item's whole text; returns what was not said of it."""
        said = "".join(self.said)
        missing = rest(text, said)
        self.said, self.closed = [said + missing], True
        return missing


@dataclass(slots=True)
class Call:
    """One tool call."""

    call_id: str = ""
    name: str = ""
    first: str = ""  # arguments as they stood when the call was announced
    pieces: list[str] = field(default_factory=list)
    whole: str = ""  # arguments as one of the later events told them
    size: int = 0  # in characters
    closed: bool = False

    @property
    def arguments(self) -> str:
        """The arguments by what is known of them."""
        return self.whole or joined(self.pieces) or self.first

    def may_be(self, call_id: str) -> bool:
        """Whether nothing says that the call of this id is another one."""
        return not (call_id and self.call_id) or call_id == self.call_id

    def add(self, piece: str) -> int:
        """A piece of the arguments; returns how many characters are new, as the next does."""
        self.pieces.append(piece)
        self.size += len(piece)
        return len(piece)

    def learn(self, told: Json, *, announced: bool = False) -> int:
        """What an event says of it all."""
        self.call_id = self.call_id or text_of(told.get("call_id"))
        self.name = self.name or text_of(told.get("name"))
        if arguments := text_of_arguments(told.get("arguments")):
            if announced:
                self.first = arguments
            else:
                self.whole = arguments
        before, self.size = self.size, max(self.size, len(self.name) + len(arguments))
        return self.size - before


Item = TypeVar("Item", Message, Call)


class Items(Generic[Item]):
    """The items of one kind, in the order in which they began."""

    def __init__(self, new: Callable[[], Item]) -> None:
        self._new: Callable[[], Item] = new
        self._at: dict[str | int, Item] = {}  # the newest by each id, and at each index
        self.all: list[Item] = []

    def known(self, names: Sequence[str | int]) -> Item | None:
        """The open item that goes by one of these, the first before the others."""
        held = (self._at.get(name) for name in names)
        return next((item for item in held if item is not None and not item.closed), None)

    def held(self, names: Sequence[str | int]) -> Item | None:
        """The item that goes by one of these, or began last where there are none; closed too."""
        named = [self._at[name] for name in names if name in self._at]
        return next(iter(named if names else self.all[-1:]), None)

    def newest(self) -> Item | None:
        """The item that began last, where it is still open."""
        return self.all[-1] if self.all and not self.all[-1].closed else None

    def written(self, event: Json) -> Item | None:
        """The item that a piece belongs to, a new one where it must be; None: it came too late."""
        names = keys(event)
        item = self.known(names)
        if item is None and any(isinstance(name, str) and name in self._at for name in names):
            return None
        if item is None and not isinstance(event.get("output_index"), int):
            item = self.newest()
        return self.name(item or self.begin(), names)

    def begin(self) -> Item:
        """A new one."""
        self.all.append(self._new())
        return self.all[-1]

    def name(self, item: Item, names: Sequence[str | int]) -> Item:
        """The item, which goes by these from now on."""
        self._at.update(dict.fromkeys(names, item))
        return item


def keys(*told: Json) -> Keys:
    """What an item goes by in what was told of it."""
    names = [text_of(each.get(name)) for each in told for name in ("item_id", "id", "call_id")]
    places = [each.get("output_index") for each in told]
    return [
        *dict.fromkeys(name for name in names if name),
        *(place for place in places if isinstance(place, int)),
    ]


def surest(keys: Keys) -> Keys:
    """The ids of these, where there are any: some servers number all items alike."""
    return [key for key in keys if isinstance(key, str)] or keys


def rest(whole: str, said: str) -> str:
    """What is left of a text once this much was said; nothing, where it was said otherwise."""
    return whole[len(said) :] if whole.startswith(said) else ""
