"""PURE: takes a model's thinking out of its answer, in whatever dress it comes.

    thinking = Thinking(opens=profile.opens_thinking)
    shown = thinking.feed(piece) + … + thinking.close()

A tag counts outside of code, where the answer, or a line of it, begins with it; within a line
where text follows it at once, and its closing later: what is held for a closing that never
comes is text. A lone `</think>` counts where a line ends with it, or text follows it at once.
So what only speaks of tags stays. A model whose template opens the thinking for it writes
only that closing tag: what has been given out by then cannot be recalled, so such a model is
known by `late`, and from then on `opens=True` holds its answers back until the tag comes. One
that was taken for such a model by mistake is known by `endless`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from runtime.dress import (
    BARE,
    CLOSINGS,
    LONE,
    LONGEST_CLOSING,
    OPENINGS,
    PAIRED,
    TOKENS,
    WRAPPED,
    is_bare,
    is_text,
)
from runtime.prose import Openings, Prose, Span

_REST_OF_LINE: Final = re.compile(r"[ \t\r]*\n?")


class Thinking(Prose):
    """One answer of a model. `opens`: it begins inside its thinking, which a tag ends."""

    def __init__(self, opens: bool = False) -> None:
        super().__init__(OPENINGS)
        self._held: list[str] | None = [] if opens else None
        self._tail = ""  # of what is held: a closing may be cut
        self._litter: tuple[Openings, ...] = ()  # what more is dropped, wherever it stands
        self._opened = opens
        self._guess: _Guess | None = None
        self._never: set[tuple[str, ...]] = set()  # closings that do not come any more
        self._json = False  # the answer is JSON, and what comes within a line is in its strings
        self.lone = False
        """Whether a closing tag came that no opening had: the answer began inside its thinking."""
        self.late = False
        """Whether some of that was given out before the tag came."""
        self.endless = False
        """Whether `opens` was wrong: the answer is whole, and its thinking never ended."""
        self._gave = False

    def feed(self, text: str) -> str:
        """What of the answer so far is for people."""
        if self._held is None:
            given = super().feed(text)
            self._gave = self._gave or not (given == "" or given.isspace())
            return given
        seen = len(self._tail)
        text = self._tail + text
        # A whole tail begins with the character before the first place that is left to search.
        found = CLOSINGS.search(text, int(seen == LONGEST_CLOSING))
        if found is None:
            self._held.append(text[seen:])
            self._tail = text[-LONGEST_CLOSING:]
            return ""
        self.hidden += sum(map(len, self._held)) + found.end() - seen
        self._held, self._tail = None, ""
        return super().feed(text[found.end() :])

    def apart(self) -> str:
        """Told that the thinking comes elsewhere: what was held back for its end is the answer."""
        if self._held is None:
            return ""
        held, self._held, self._opened = "".join(self._held), None, False
        return super().feed(held)

    def close(self, *, whole: bool = True) -> str:
        """What was held back. `whole`: the answer was not cut short, so that one which never
        said the end of its thinking did not think, and is shown."""
        if self._held is None:
            return self._closed(whole)
        held, self._held = "".join(self._held), None
        if not whole:
            self.hidden += len(held)
            return ""
        self.endless = not (held == "" or held.isspace())
        return super().feed(held) + self._closed(whole)

    def _closed(self, whole: bool) -> str:
        given = super().close()
        while whole and self._guess:
            given += self._taken_back(self._guess)
        return given

    def _taken_back(self, guess: _Guess) -> str:
        """What was held for a closing that never came: it was text."""
        held = "".join(guess.held)
        self._never.add(guess.span.closings)
        self.hidden -= len(guess.opening) + len(held)
        self._opened, self._guess, self._span = guess.opened, None, None
        self._line_start = self._fresh = False
        self._out.append(guess.opening)
        return self._run(held, last=True)

    def _counts(self, span: Span, end: int, last: bool) -> bool:
        return self._opened or span.opening != "<answer>"

    def _line_in_text(self, at: int, last: bool) -> bool:
        if self._fresh:
            self._json = self._text.startswith("{", at)
        if not self._fresh or self._opened or self._never:
            return super()._line_in_text(at, last)
        match is_bare(self._text, at, last=last):
            case None:
                return False
            case False:
                return super()._line_in_text(at, last)
            case True:
                self._try(BARE, at + len(BARE.opening))
                return True

    def _try(self, span: Span, end: int) -> None:
        """Begins a span that counts only if it is closed."""
        mid_line = not self._line_start
        opening = self._text[self._at : end]
        self._guess = _Guess(span, opening, mid_line=mid_line, opened=self._opened)
        self._begin(span, end)

    def _inside(self, text: str) -> None:
        if self._guess:
            self._guess.held.append(text)

    def _ended(self, span: Span) -> None:
        if self._guess and self._guess.mid_line:
            self._line_start = self._fresh = False
        self._guess = None

    def _begun(self, span: Span) -> None:
        self._opened = True
        if span.opening.startswith("<|"):
            self._litter = (TOKENS,)
        elif span.opening == "<answer>":
            self._litter = (WRAPPED,)

    def _in_text(self, last: bool) -> bool:
        for litter in self._litter:
            match litter.at(self._text, self._at, last=last):
                case Span() as span:
                    self._begin(span, self._at + len(span.opening))
                    return True
                case "wait":
                    return False
                case None:
                    pass
        match LONE.at(self._text, self._at, last=last):
            case Span() as span:
                return self._lone(self._at + len(span.opening), last)
            case "wait":
                return self._wait()
            case None:
                return self._mid_line(last)

    def _mid_line(self, last: bool) -> bool:
        """An opening within a line: of thinking if text follows, and its closing later."""
        if self._json:
            return super()._in_text(last)
        match PAIRED.at(self._text, self._at, last=last):
            case Span() as span if span.closings not in self._never:
                end = self._at + len(span.opening)
                if end == len(self._text) and not last:
                    return False
                behind = self._text[end : end + 1] or " "
                if is_text(behind) or behind in "\r\n":
                    self._try(span, end)
                else:
                    self._give(end)
                return True
            case "wait":
                return False
            case _:
                return super()._in_text(last)

    def _wait(self) -> bool:
        """What this piece has brought goes out only once the tag is known not to take it away."""
        self._keeps = True
        return False

    def _lone(self, end: int, last: bool) -> bool:
        """A closing tag that nothing opened, where it parts two texts: all before it goes."""
        rest = _REST_OF_LINE.match(self._text, end)
        ends = rest.end() if rest else end
        if ends == len(self._text) and not last and not self._text.endswith("\n"):
            return self._wait()
        if ends < len(self._text) and not self._parts(end, ends):  # a sentence about the tag
            self._give(end)
            return True
        if not self._opened:
            self.lone, self.late = True, self._gave
            self.hidden += sum(map(len, self._out))
            self._out.clear()
        self._opened = True
        self._begin(_CLOSED, end)
        return True

    def _parts(self, end: int, rest: int) -> bool:
        """Whether a line ends with the tag, or text follows it at once, and not the second mark
        of a pair that quotes it. `rest`: where the line goes on, or the next begins."""
        if self._text[rest - 1] == "\n":
            return True
        if self._json:
            return False
        before, behind = self._text[max(0, self._at - 1) : self._at], self._text[end]
        told = is_text(behind) and (behind.isalnum() or before != behind)
        told |= behind in "-|`" and (before.isalnum() or before == "\n")  # a list, table or code
        return told or self._text[rest] == "{"


@dataclass(slots=True)
class _Guess:
    """A span that is one only if its closing comes."""

    span: Span
    opening: str
    mid_line: bool
    opened: bool  # whether thinking had come before it
    held: list[str] = field(default_factory=list)


_CLOSED: Final = Span("")
