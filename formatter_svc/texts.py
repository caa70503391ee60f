"""Joins pieces of text into events, and keeps the paragraph break where two texts meet. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from formatter_svc.json_object import Block, Skipped


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text for people. `gap` goes before it if text was shown right before it; it is
    not wanted at the start of an answer or where a block stands between the two."""

    chunk: str
    gap: str = ""


Event = Text | Block | Skipped
# Prose stands outside objects, content in objects of the type `text`.
Kind = Literal["prose", "content"]


class Texts:
    """Collects the events of one answer."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._pieces: list[str] = []  # of the text at hand
        self._gap = ""
        self._last: Kind | None = None
        self._breaks = 0  # line breaks that the text so far ends with, 2 at most
        self._seam = False  # an object began or ended since the last text
        self._leading = 0  # line breaks met since the seam
        self._apart = False  # a line break was dropped since the last text

    def say(self, kind: Kind, text: str) -> None:
        """Adds text."""
        if self._seam and self._last:
            rest = text.lstrip("\n")
            self._leading += len(text) - len(rest)
            if not rest:
                return
            self._join(self._gap_before(kind))
            text = rest
        self._seam = self._apart = False
        self._last = kind
        if text:
            self._pieces.append(text)
            self._count_breaks(text)

    def seam(self) -> None:
        """An object begins or ends here."""
        self._seam = True
        self._leading = 0

    def line_break(self) -> None:
        """White space with a line break was dropped here."""
        self._apart = True

    def add(self, event: Block | Skipped) -> None:
        """Adds what an object was."""
        self._flush()
        self._events.append(event)

    def take(self) -> list[Event]:
        """Returns all events since the last time."""
        self._flush()
        events, self._events = self._events, []
        return events

    def _gap_before(self, kind: Kind) -> str:
        """Objects of their own are paragraphs of their own; a line of prose that an object was
        cut out of stays a line."""
        if kind == self._last == "prose" and not self._apart and not self._leading:
            return " "
        return "\n" * max(self._leading, 2 - self._breaks)

    def _join(self, gap: str) -> None:
        if self._pieces:
            self._pieces.append(gap)
        else:
            self._gap = gap

    def _count_breaks(self, text: str) -> None:
        trailing = len(text) - len(text.rstrip("\n")) if text[-1] == "\n" else 0
        self._breaks = min(2, trailing if trailing < len(text) else self._breaks + trailing)

    def _flush(self) -> None:
        if self._pieces:
            self._events.append(Text("".join(self._pieces), self._gap))
            self._pieces = []
            self._gap = ""
