"""Paints what a text says, while it arrives: no bound, nothing kept but what may be closers.

Its content may be a string, strings, objects that are answers of their own, or an answer that was
encoded once more. Where it has no content, what its other members say is shown. Pure: text in,
pieces of text out.
"""

from __future__ import annotations

from typing import Final, Protocol

import orjson

from formatter_svc.json_object import Skipped
from formatter_svc.lookahead import ENCODED_BLOCK, ahead
from formatter_svc.reader import MAX_BYTES, SHOWN, Reader
from formatter_svc.reasons import Reason

# Members of a text that say nothing to people.
SILENT: Final = frozenset(
    ("type", "id", "format", "role", "lang", "language", "style", "variant", "level", "align")
)
# So much of a string says whether it holds an answer; so many closers may be the object's.
MAX_LEAD: Final = 128


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
            self._let_go()
        self._finish()

    def _cut(self) -> None:
        self.was_cut = bool(self._opener)
        if self._painting:
            self._tail = ""
            self._let_go()
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

    def _let_go(self) -> None:
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
            self._let_go()
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
