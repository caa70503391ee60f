"""PURE: takes spans that are not for people out of a text, as it streams in.

A span begins with one of its openings where a line begins, and runs to one of its closings.
What stands in code is text: in a fence (``` or ~~~), in inline code, whatever tags it holds.

    line start ──opening──► span ──closing──► line start
        │ ▲
        ▼ └── newline
     mid-line (here subclasses may look for more)

Nothing is given out before it is decided, and nothing is held longer than that takes: so the
same text comes out however it was cut, each piece as early as it can be known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

_INDENT: Final = re.compile(r"[ \t]{0,32}")
_BLANK: Final = re.compile(r"\s{0,256}")
_FENCE: Final = re.compile(r"`{3,}|~{3,}")
_RUN: Final = re.compile(r"`+|~+")


@dataclass(frozen=True, slots=True)
class Span:
    """What is taken out. `opening` in lower case; with no closings it is the opening alone."""

    opening: str
    closings: tuple[str, ...] = ()
    tag: str = ""
    """What a subclass wants to know it by."""

    def ends(self) -> re.Pattern[str]:
        """Finds a closing, which does not count where it is quoted in backticks."""
        return _ends(self.closings)


_ENDS: dict[tuple[str, ...], re.Pattern[str]] = {}


def _ends(closings: tuple[str, ...]) -> re.Pattern[str]:
    if closings not in _ENDS:
        longest_first = sorted(closings, key=len, reverse=True)
        words = "|".join(re.escape(word) for word in longest_first)
        _ENDS[closings] = re.compile(rf"(?<!`)(?:{words})", re.IGNORECASE | re.ASCII)
    return _ENDS[closings]


Match = Span | Literal["wait"] | None
"""What stands at a place: a span, nothing, or what only more of the text can tell."""


class Openings:
    """The openings of some spans, found at a place."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = {span.opening: span for span in spans}
        by_length = sorted(self._spans, key=len, reverse=True)
        words = "|".join(map(re.escape, by_length))
        self._any = re.compile(words, re.IGNORECASE | re.ASCII)
        self._longest = len(by_length[0])
        self.first = frozenset(opening[0] for opening in by_length)

    def at(self, text: str, place: int, *, last: bool) -> Match:
        """The span whose opening stands at `place`; `last`: nothing comes after the text."""
        if text[place : place + 1] not in self.first:
            return None
        rest = text[place : place + self._longest].lower()
        if not last and any(o.startswith(rest) and o != rest for o in self._spans):
            return "wait"
        found = self._any.match(text, place)
        return self._spans[found.group().lower()] if found else None


class Prose:
    """The text of one answer, its spans taken out."""

    def __init__(self, openings: Openings) -> None:
        self._openings = openings
        marks = re.escape("".join(sorted(openings.first)))
        self._special = re.compile(rf"[\n`{marks}]")
        self._text = ""  # what is not decided, and one character before it
        self._at = 0
        self._out: list[str] = []
        self._keeps = False  # what is in `_out` is not to be given yet
        self._line_start = True
        self._fresh = True  # nothing but white space was seen since the start, or since a span
        self._fence = ""
        self._info = False  # in the first line of a fence
        self._ticks = 0  # of the inline code that is open in this line
        self._span: Span | None = None
        self.hidden = 0
        """How many characters were taken out so far."""

    def feed(self, text: str) -> str:
        """What of the text so far can be given out now."""
        plain = self._span is None and not self._line_start and self._at == len(self._text)
        if plain and not self._special.search(text):
            self._text = text[-1:] or self._text
            self._at = len(self._text)
            return text
        return self._run(text, last=False)

    def close(self) -> str:
        """What was held back. A span that is still open gives nothing."""
        return self._run("", last=True)

    def _run(self, text: str, *, last: bool) -> str:
        self._text = self._text[max(0, self._at - 1) :] + text
        self._at = min(self._at, 1)
        self._keeps = False
        while self._at < len(self._text) and self._step(last):
            pass
        if self._keeps:
            return ""
        out, self._out = "".join(self._out), []
        return out

    def _step(self, last: bool) -> bool:
        """Goes on by one piece; False where that needs more of the text."""
        if self._span is not None:
            return self._in_span(self._span, last)
        return self._at_line_start(last) if self._line_start else self._in_line(last)

    def _give(self, end: int) -> None:
        self._out.append(self._text[self._at : end])
        self._at = end

    def _hide(self, end: int) -> None:
        self._inside(self._text[self._at : end])
        self.hidden += end - self._at
        self._at = end

    def _inside(self, text: str) -> None:
        """For subclasses that want what a span holds."""

    def _counts(self, span: Span, end: int, last: bool) -> bool | None:
        """For subclasses: whether what stands at `end` lets the opening before it count; None:
        only more of the text can tell."""
        return True

    def _begun(self, span: Span) -> None:
        """For subclasses: a span began."""

    def _ended(self, span: Span) -> None:
        """For subclasses: a span is over."""

    # In a span

    def _in_span(self, span: Span, last: bool) -> bool:
        found = span.ends().search(self._text, self._at)
        if found is None:
            longest = max(map(len, span.closings))
            self._hide(len(self._text) if last else max(self._at, len(self._text) - longest + 1))
            return False
        self._hide(found.start())
        self._skip(found.end())
        self._over(span)
        return True

    def _skip(self, end: int) -> None:
        self.hidden += end - self._at
        self._at = end

    def _begin(self, span: Span, end: int) -> None:
        self._skip(end)
        self._begun(span)
        if span.closings:
            self._span = span
        else:
            self._over(span)

    def _over(self, span: Span) -> None:
        self._span = None
        self._line_start = self._fresh = True
        self._ticks = 0
        self._ended(span)

    # At the start of a line

    def _at_line_start(self, last: bool) -> bool:
        blank = (_BLANK if self._fresh else _INDENT).match(self._text, self._at)
        at = blank.end() if blank else self._at
        if self._fresh and self.hidden:  # the space after a span goes with it
            self._at = at
        if at == len(self._text) and not last:
            return False
        return self._line_in_fence(at, last) if self._fence else self._line_in_text(at, last)

    def _line_in_text(self, at: int, last: bool) -> bool:
        run = _RUN.match(self._text, at)
        if run and run.end() == len(self._text) and not last:
            return False
        if fence := _FENCE.match(self._text, at):
            self._fence, self._info = fence.group(), True
            return self._goes_on(fence.end())
        match self._openings.at(self._text, at, last=last):
            case Span() as span:
                return self._line_opens(span, at, last)
            case "wait":
                return False
            case None:
                return self._goes_on(at)

    def _line_opens(self, span: Span, at: int, last: bool) -> bool:
        end = at + len(span.opening)
        counts = self._counts(span, end, last)
        if counts is None:
            return False
        if not counts:
            return self._goes_on(end)
        self._at = at
        self._begin(span, end)
        return True

    def _line_in_fence(self, at: int, last: bool) -> bool:
        run = _RUN.match(self._text, at)
        if run is None:
            return self._goes_on(at)
        end = run.end()
        if end == len(self._text) and not last:
            return False
        if run.group().startswith(self._fence) and self._text[end : end + 1].strip() == "":
            self._fence = ""
        return self._goes_on(end)

    def _goes_on(self, end: int) -> bool:
        self._give(end)
        self._line_start = self._fresh = False
        return True

    # Within a line

    def _in_line(self, last: bool) -> bool:
        mark = self._special.search(self._text, self._at)
        if mark is None:
            self._give(len(self._text))
            return False
        self._give(mark.start())
        if mark.group() == "\n":
            self._give(mark.end())
            self._line_start, self._info, self._ticks = True, False, 0
            return True
        if mark.group() == "`":
            return self._backticks(last)
        if self._fence or self._ticks:
            self._give(mark.end())
            return True
        return self._in_text(last)

    def _in_text(self, last: bool) -> bool:
        """For subclasses that find spans within a line, too: at a mark, outside of code."""
        self._give(self._at + 1)
        return True

    def _backticks(self, last: bool) -> bool:
        run = _RUN.match(self._text, self._at)
        end = run.end() if run else self._at + 1
        if end == len(self._text) and not last:
            return False
        length = end - self._at
        if self._fence:
            # Backticks in a fence's first line: it was inline code after all.
            if self._info and self._fence[0] == "`" and length >= len(self._fence):
                self._fence = ""
        elif not self._ticks:
            self._ticks = length
        elif self._ticks == length:
            self._ticks = 0
        self._give(end)
        return True
