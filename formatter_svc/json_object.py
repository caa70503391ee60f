"""One block out of a stream of text, as clean JSON: at most 256 KiB and 32 levels.

What is larger is read to its end, and skipped. Pure: text in, values out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import orjson

from formatter_svc.lookahead import DATA_TYPES, TEXT_TYPES
from formatter_svc.reader import MAX_BYTES, MAX_DEPTH, Reader
from formatter_svc.reasons import Reason
from formatter_svc.strings import size_of

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Block", "BlockReader", "Skipped", "kind_of"]


@dataclass(frozen=True, slots=True)
class Block:
    """A whole object other than a text: its type and its value, nothing of it checked yet."""

    type: str
    value: dict[str, object]
    size: int  # bytes in the stream
    word: str | None = None  # its type as the model wrote it


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that shows nothing, or nothing more; its type is as the model wrote it."""

    reason: Reason
    type: str | None
    size: int  # bytes in the stream


def kind_of(word: str, kinds: Collection[str] = DATA_TYPES) -> str | None:
    """The known type that a word names, or `text`; None where it names none."""
    plain = word.strip().lower()
    if plain in TEXT_TYPES:
        return "text"
    plain = plain.replace("-", "_").replace(" ", "_")
    plain = "entity_ref" if plain == "entityref" else plain
    return plain if plain in kinds else None


class BlockReader(Reader):
    """Keeps an object as clean JSON; `outcome` is its value, or why it has none."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.outcome: Block | Skipped | None = None
        self._kind = kind
        self._type: str | None = None  # as the model wrote it
        self._parts: list[str] = []
        self._kept = 0
        self._broken: Reason | None = None
        self._last_string = range(0)  # where the string that was read last is in the parts

    def _cut(self) -> None:
        if not self.complete:
            self._end(Reason.UNCLOSED)
            return
        while not self.ended:
            self._pop()

    def _break(self, reason: Reason) -> None:
        self._broken = self._broken or reason
        self._parts = []

    def _end(self, reason: Reason) -> None:
        self.ended = True
        self.outcome = Skipped(self._broken or reason, self._type or self._kind, self.size)

    def _finish(self) -> None:
        if self._broken:
            self._end(self._broken)
            return
        try:
            value = orjson.loads("".join(self._parts))
        except orjson.JSONDecodeError:
            self._end(Reason.MALFORMED)
            return
        self.ended = True
        self.outcome = Block(self._kind, value, self.size, self._type)

    def _take(self, source: str) -> None:
        self.size += len(source) if source.isascii() else size_of(source)
        if self.size > MAX_BYTES and not self._broken:
            self._break(Reason.TOO_LARGE)

    def _deep(self) -> None:
        self._break(Reason.TOO_DEEP)

    def _write(self, json: str) -> None:
        if self._broken is None:
            self._parts.append(json)

    def _piece(self, source: str, decoded: str, json: str | None = None) -> None:
        self._take(source)
        if self._broken is None:
            self._parts.append(source if json is None else json)
            if self._word is not None:
                self._word.append(decoded)

    def _wants_word(self) -> bool:
        return len(self._stack) == 1 and self._keys[0] == "type"

    def _string_read(self, word: str) -> None:
        self._last_string = range(self._last_string.start, len(self._parts))
        if len(self._stack) == 1 and self._keys[0] == "type":
            if self._type is not None and word != self._type:
                self._break(Reason.DUPLICATE_KEY)
            self._type = self._type or word

    def _drop_colon(self) -> None:
        if self._broken is None:
            self._parts[-1] = self._parts[-1].removesuffix(":")

    # A list that was not closed.

    def _enter_value_string(self, opener: str) -> None:
        self._last_string = range(len(self._parts), len(self._parts))
        super()._enter_value_string(opener)

    def _key_of_last(self) -> bool:
        at = self._last_string
        if self._broken or self._stack[-1] != "[" or not at or at.stop != len(self._parts):
            return False
        string = "".join(self._parts[at.start :]).removeprefix(",")
        del self._parts[at.start :]
        while self._stack[-1] == "[":
            self._pop()
        self._begin()
        self._write(string)
        self._end_key(str(orjson.loads(string)))
        self._state = "value"
        return True
