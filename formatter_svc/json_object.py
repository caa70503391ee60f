"""One JSON object out of a stream of text: what it is, and its text or its value.

- A `Probe` reads an object until it is known what it is: a block of a known type, an answer in
  another dress, or none of ours. `type` may be its last key, so it keeps what it read: 256 KiB at
  most. What is none of ours goes on as text, as it is written.
- A `TextReader` paints the content of a text while it arrives. A text has no bound.
- A `BlockReader` keeps an object as clean JSON: at most 256 KiB and 32 levels. What is larger is
  read to its end, and skipped.

All of them mend what they read (`reader`). Pure: text in, values out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import orjson

from formatter_svc.lookahead import (
    DATA_TYPES,
    ENCODED_BLOCK,
    TEXT_TYPES,
    ahead,
)
from formatter_svc.reader import CONTENT, MAX_BYTES, MAX_DEPTH, SHOWN, Reader
from formatter_svc.reasons import Reason
from formatter_svc.strings import NEED_MORE, Role, Strings, end_of, size_of

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "NEED_MORE",
    "Block",
    "BlockReader",
    "Probe",
    "Reader",
    "Skipped",
    "Strings",
    "TextReader",
    "end_of",
    "size_of",
]

# An object without a type is an answer if one of these is all that it has.
SOLE: Final = CONTENT
# Members of a text that say nothing to people.
SILENT: Final = frozenset(
    ("type", "id", "format", "role", "lang", "language", "style", "variant", "level", "align")
)
# A bare word that is longer is none that a model writes for a value.
MAX_BARE: Final = 64
# So is a key that is longer, or that goes over lines.
MAX_KEY: Final = 256
# So much of a string says whether it holds an answer.
MAX_LEAD: Final = 128


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


# A block; an answer, whatever its dress; none of ours; a block that broke off before it had a type.
Verdict = Literal["data", "text", "prose", "cut"]


def kind_of(word: str, kinds: Collection[str] = DATA_TYPES) -> str | None:
    """The known type that a word names, or `text`; None where it names none."""
    plain = word.strip().lower()
    if plain in TEXT_TYPES:
        return "text"
    plain = plain.replace("-", "_").replace(" ", "_")
    plain = "entity_ref" if plain == "entityref" else plain
    return plain if plain in kinds else None


class Probe(Reader):
    """Finds out what an object is; `verdict` says it, and `raw` what was read for it.

    `sole`: whether it may be an answer without a type. `nested`: whether it stands for (a part of)
    a text's content, where an object that says something is a text whatever its type.
    """

    def __init__(self, kinds: Collection[str], sole: bool = True, nested: bool = False) -> None:
        super().__init__()
        self.kind = ""  # the known type
        self._kinds = kinds
        self.verdict: Verdict | None = None
        self.raw: list[str] = []
        self._sole = sole
        self._nested = nested
        self._seen: list[str] = []  # the object's keys
        self._key_size = 0  # of the key at hand
        self._at_end = False
        self._scalar_only = False  # its one member is no text and no container

    @property
    def paused(self) -> bool:  # type: ignore[override]
        """It is known what the object is."""
        return self.verdict is not None

    def give_up(self) -> None:
        """Ends it where the answer ends."""
        self._at_end = True
        self._settle(closed=self.complete)

    def _cut(self) -> None:
        self._settle(closed=self.complete)

    def _finish(self) -> None:
        self._settle(closed=True)

    def _settle(self, closed: bool) -> None:
        self.ended = True
        self.verdict = self.verdict or self._last_verdict(closed)

    def _last_verdict(self, closed: bool) -> Verdict:
        said = set(self._seen) & SOLE
        if self._nested and said:
            return "text"
        if not closed and self._broke_off():
            return "cut"
        one = len(self._seen) == 1 and said and not self._scalar_only
        inside = bool(self._opener) and self._role == "content"
        return "text" if one and self._sole and (closed or inside) else "prose"

    def _broke_off(self) -> bool:
        """Whether it ends within its type, which may have been one of ours."""
        if not self._at_end or self._seen != ["type"]:
            return False
        if self._state == "next" and not self._opener:
            return False
        word = "".join(self._word or ()).lower()
        return any(known.startswith(word) for known in (*DATA_TYPES, *TEXT_TYPES))

    def _take(self, source: str) -> None:
        self.size += size_of(source)
        self.raw.append(source)
        if self.size > MAX_BYTES and self.verdict is None:
            inside = bool(self._opener) and self._role == "content"
            self.verdict = "text" if inside and set(self._seen) <= SOLE else "prose"

    def _piece(self, source: str, decoded: str, json: str | None = None) -> None:
        super()._piece(source, decoded, json)
        if self._role == "key" and self._word is not None:
            self._key_size += len(decoded)
            if self._key_size > MAX_KEY or source == "\n":
                self._odd()

    def _enter_string(self, opener: str, role: Role) -> None:
        super()._enter_string(opener, role)
        self._key_size = 0

    def _deep(self) -> None:
        self.verdict = self.verdict or "prose"

    def _odd(self) -> None:
        self._settle(closed=False)

    def _wants_word(self) -> bool:
        return self._keys[-1] == "type" and self._may_hold_blocks()

    def _may_hold_blocks(self) -> bool:
        """Whether all containers around the object at hand are what an answer may be wrapped in."""
        return all(
            kind == "[" or key in SOLE
            for kind, key in zip(self._stack[:-1], self._keys[:-1], strict=True)
        )

    def _takes_blocks(self) -> bool:
        return self._may_hold_blocks() and (self._stack[-1] == "[" or self._keys[-1] in SOLE)

    def _key_read(self, word: str) -> None:
        if len(self._stack) == 1:
            self._seen.append(self._keys[0])

    def _value_read(self, json: str) -> None:
        self._scalar_only = len(self._stack) == 1
        if json[0] == '"' and (len(json) > MAX_BARE or set(json) & set(" ;=()")):
            self._odd()

    def _string_read(self, word: str) -> None:
        if not word or self._keys[-1] != "type":
            return
        kind = kind_of(word, self._kinds)
        if len(self._stack) == 1:
            self.kind = self.kind or kind or ""
            if kind is None:
                self.verdict = self.verdict or (None if self._nested else "prose")
            else:
                self.verdict = self.verdict or ("text" if kind == "text" else "data")
        elif kind and len(self._seen) == 1:
            self.verdict = self.verdict or "text"


class Outlet(Protocol):
    """Where the content of a text goes."""

    def paint(self, text: str) -> None:
        """Shows text."""

    def part(self) -> None:
        """Another text begins."""

    def encoded(self) -> Outlet:
        """An answer within a string begins: what is painted there is read as an answer."""

    def end(self) -> None:
        """The answer within a string is over."""


class TextReader(Reader):
    """Paints the content of a text as it arrives.

    `paused` where an object stands for a part of the content: it is another's to read, and
    `go_on` is called once it is over.
    """

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self.outcome: Skipped | None = None
        self.was_cut = False  # within its content, by a block
        self._outlet = outlet
        self._inner: Outlet | None = None  # of a string that holds an answer
        self._lead = ""  # the first words of a string that may hold one
        self._leading = False
        self._tail = ""  # closers that the content may not have meant
        self._closers_mean = False  # there are so many of them that the content did mean them
        self._painting = False
        self._shown = False
        self._others: list[str] = []  # what other members say
        self._other_size = 0
        self._type: str | None = None

    def go_on(self) -> None:
        """The object for a part of the content is over."""
        self.paused = False
        self._shown = True
        self._begin_value()

    def give_up(self) -> None:
        """Ends the text where the answer ends."""
        if self._painting:
            self._let_go(final=True)
        self._finish()

    def _cut(self) -> None:
        self.was_cut = bool(self._opener)
        if self._painting:
            self._tail = ""
            self._let_go(final=True)
        self._finish()

    def _finish(self) -> None:
        self.ended = True
        if not self._shown and self._others:
            for each in self._others:
                self._outlet.part()
                self._outlet.paint(each)
        elif not self._shown:
            self.outcome = Skipped(Reason.BAD_TEXT, self._type, self.size)

    def _is_shown(self) -> bool:
        """Whether the value at hand is content."""
        return self._keys[0] in SHOWN and "{" not in self._stack[1:]

    def _takes_blocks(self) -> bool:
        return self._is_shown() and self._wants_value()

    def _element(self) -> bool:
        self.paused = self._is_shown()
        return self.paused

    def _deep(self) -> None:
        pass

    # Strings.

    def _enter_value_string(self, opener: str) -> None:
        super()._enter_value_string(opener)
        self._painting = self._is_shown()
        if self._painting:
            self._leading = True
            if self._shown:
                self._outlet.part()
        elif self._word is None and self._other_size < MAX_BYTES and not self._silent():
            self._word = []

    def _silent(self) -> bool:
        return any(key in SILENT for key in self._keys)

    def _wants_word(self) -> bool:
        return len(self._stack) == 1 and self._keys[0] == "type"

    def _piece(self, source: str, decoded: str, json: str | None = None) -> None:
        self._take(source)
        if self._painting:
            self._paint(decoded)
        elif self._word is not None:
            self._word.append(decoded)

    def _paint(self, text: str) -> None:
        if self._leading:
            text = self._lead + text
            holds = ahead(ENCODED_BLOCK, text, 0, len(text) > MAX_LEAD)
            self._lead = text if holds is None else ""
            if holds is None:
                return
            self._leading = False
            if holds:
                self._inner = self._outlet.encoded()
        if self._tail or "}" in text:
            text = self._keep_tail(self._tail + text)
        if text:
            self._shown = True
            (self._inner or self._outlet).paint(text)

    def _keep_tail(self, text: str) -> str:
        """Closers that end a piece may be those of the object: its string's quote was left out."""
        bare = len(text.rstrip("]}, \t\r\n"))
        at = text.find("}", bare)
        self._closers_mean = at >= 0 and (
            len(text) - at > MAX_LEAD or (self._closers_mean and not bare)
        )
        self._tail = text[at:] if at >= 0 and not self._closers_mean else ""
        return text[:at] if self._tail else text

    def _let_go(self, final: bool) -> None:
        """The string is over: nothing waits any more."""
        rest = self._lead + self._tail
        self._lead = self._tail = ""
        self._leading = False
        if rest:
            (self._inner or self._outlet).paint(rest)
        if self._inner:
            self._inner.end()
            self._inner = None
        self._painting = False
        self._shown = True

    def _close_string(self, source: str) -> None:
        if self._painting:
            self._let_go(final=False)
        super()._close_string(source)

    def _string_read(self, word: str) -> None:
        if len(self._stack) == 1 and self._keys[0] == "type":
            self._type = word
        elif word:
            self._others.append(word)
            self._other_size += len(word)

    def _value_read(self, json: str) -> None:
        if self._is_shown() and json != "null":
            if self._shown:
                self._outlet.part()
            self._outlet.paint(json if json[0] != '"' else str(orjson.loads(json)))
            self._shown = True


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
