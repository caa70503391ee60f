"""The text around objects: prose and code as they stand, and the glue that is dropped.

- White space, commas, brackets, fences, backticks and a leading word `json` are *held* until it
  is known whether an object follows: before a block they are glue, else they are text.
- A fence whose first token opens no block is code to its end; so is what stands between
  backticks within a line, and between double braces. Nothing in code opens an object.
- A tool's call that was written as text is dropped.

Where a fence stands, and what a quote or a word at the start of a line may begin, needs a bounded
look ahead. Pure.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, Literal

import regex

from formatter_svc.lookahead import (
    ENCODED_BARE,
    ENCODED_STRING,
    JSON_WORD,
    LINE_BREAK,
    LOST_END,
    OPENING,
    TOOL_CALL,
    TOOL_CALL_END,
    ahead,
)
from formatter_svc.strings import MIN_FENCE, NEED_MORE, end_of
from formatter_svc.texts import Kind, Texts

# How much white space, commas and brackets may wait for the object that makes them glue.
MAX_HELD: Final = 1024

_BLANK: Final = " \t\r\n"
_BLANKS: Final = re.compile(r"[ \t\r\n]{1,1024}")
_PROSE: Final = re.compile(r'(?:[^\[{`~<\n]+|\n(?![ \t\r]*["jJ]))+')
_PROSE_BEFORE_QUOTE: Final = re.compile(r'(?:[^\[{`~<\n"]+|\n(?![ \t\r]*[jJ]))+')
_LINE: Final = re.compile(r"[^\n]*\n?")
# A longer run of backticks counts as several.
MAX_RUN: Final = 64
_RUN: Final = re.compile(r"`{1,64}|~{1,64}")
_FENCE: Final = regex.compile(
    r"(?P<run>`{3,64}+|~{3,64}+)(?P<info>[^\r\n`~\[{]{0,64}+)(?P<next>[\r\n\[{])"
)
# The language of a fence that does not begin its line.
_INFO: Final = re.compile(r"[ \t]*[A-Za-z0-9_+.#-]{0,32}[ \t]*")
_PLAIN_LINE: Final = re.compile(r"[^\n\[\]]*")
_INLINE: Final = re.compile(r"[^`\n]+")
_IN_BRACES: Final = re.compile(r"[^}\n]+")
_IN_CALL: Final = re.compile(r"[^<\n]+")

Mode = Literal["prose", "code", "inline", "braces", "call"]


@cache
def _closing(char: str, length: int) -> Any:
    """The line that closes a fence."""
    return regex.compile(
        rf"[ \t]{{0,64}}+(?P<run>{char}{{{min(length, 64)},64}}+)[ \t]{{0,64}}+[\r\n]"
    )


class Prose:
    """The part of a stream that is outside objects."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._reset()

    def _reset(self) -> None:
        self._mode: Mode = "prose"
        self._fence = ("`", MIN_FENCE)  # of the code at hand
        self._run = 1  # backticks around the code at hand
        self._after_object = False  # nothing but glue since the last object
        self._after_fence = 0  # 2 after a fence around objects, 1 on the line below it
        self._arrays = 0  # open arrays around objects
        self._fences: list[tuple[str, int]] = []  # open fences around objects
        self._backticks = 0  # the backticks that opened right before the last object
        self._lost_end = False  # the end of a text that a block cut may still come
        self._said = False
        self._line_blank = True  # nothing but blanks were said on this line
        self._brackets = 0  # open brackets of this line's prose
        self._let_go()

    def _let_go(self) -> None:
        self._held = ""  # glue if an object follows, prose if not
        self._held_arrays = 0
        self._held_fences: list[tuple[str, int]] = []
        self._held_code = False  # a fence is held that began a line
        self._held_backticks = 0

    # What a stream makes of it.

    def _open_probe(self, text: str, i: int) -> int:
        raise NotImplementedError

    def _open_encoded(self, bare: bool) -> None:
        raise NotImplementedError

    def _kind(self) -> Kind:
        return "prose"

    # The modes.

    def _outside(self, text: str, i: int, final: bool) -> int:
        match self._mode:
            case "prose":
                return self._prose(text, i, final)
            case "code":
                return self._code(text, i, final)
            case "inline":
                return self._inline(text, i, final)
            case "braces":
                return self._braces(text, i, final)
            case "call":
                return self._call(text, i, final)

    def _code(self, text: str, i: int, final: bool) -> int:
        if self._line_blank:
            found = _closing(*self._fence).match(text, i, partial=True)
            if found and found.partial and not final:
                return NEED_MORE
            if found and (not found.partial or found["run"]):
                self._mode = "prose"
                self._say(text[i : found.end("run")])
                return int(found.end("run"))
        j = end_of(_LINE, text, i)
        self._say(text[i:j])
        return j

    def _inline(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        if char == "\n":
            return self._line_break(text, i, final)
        if char != "`":
            return self._pass(_INLINE, text, i)
        j = end_of(_RUN, text, i)
        if j == len(text) and j - i < MAX_RUN and not final:
            return NEED_MORE
        if j - i == self._run:
            self._mode = "prose"
        self._say(text[i:j])
        return j

    def _braces(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        if char == "\n":
            return self._line_break(text, i, final)
        if char != "}":
            return self._pass(_IN_BRACES, text, i)
        if i + 1 == len(text) and not final:
            return NEED_MORE
        j = i + (2 if text.startswith("}}", i) else 1)
        if j == i + 2:
            self._mode = "prose"
        self._say(text[i:j])
        return j

    def _pass(self, pattern: re.Pattern[str], text: str, i: int) -> int:
        j = end_of(pattern, text, i)
        self._say(text[i:j])
        return j

    def _line_break(self, text: str, i: int, final: bool) -> int:
        """Code within lines ends with its paragraph, and where a block begins a line."""
        over = ahead(LINE_BREAK, text, i, final)
        if over is None:
            return NEED_MORE
        if over:
            self._mode = "prose"
            return i
        self._say("\n")
        return i + 1

    def _call(self, text: str, i: int, final: bool) -> int:
        j = end_of(_IN_CALL, text, i)
        if j > i:
            return j
        over = ahead(LINE_BREAK if text[i] == "\n" else TOOL_CALL_END, text, i, final)
        if over is None:
            return NEED_MORE
        if not over or (text[i] == "\n" and "{" not in LINE_BREAK.match(text, i).group()):
            return i + 1
        self._mode = "prose"
        return i if text[i] == "\n" else int(TOOL_CALL_END.match(text, i).end())

    # Prose, and the glue between objects.

    def _prose(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        if char in _BLANK:
            return self._blanks(text, i)
        match char:
            case "{":
                return self._brace(text, i, final)
            case "`" | "~":
                return self._ticks(text, i, final)
            case "<":
                return self._tag(text, i, final)
            case '"' if self._lost_end or self._at_line_start():
                return self._quote(text, i, final)
            case "j" | "J" if self._at_line_start():
                return self._word(text, i, final)
            case "]" | "}" if self._after_object and self._closes(char):
                self._held = ""
            case "[":
                self._held_arrays += 1
                self._hold(char)
            case "," | ";" if self._after_object:
                self._hold(char)
            case _:
                return self._words(text, i)
        return i + 1

    def _closes(self, char: str) -> bool:
        """Whether a closer after an object is of an array, or one too many."""
        if char == "]" and self._arrays and not self._held_arrays:
            self._arrays -= 1
            return True
        return not self._held_arrays and self._brackets <= 0

    def _words(self, text: str, i: int) -> int:
        if self._in_held_code():
            self._say("")
            return i
        pattern = _PROSE_BEFORE_QUOTE if self._lost_end else _PROSE
        prose = text[i : max(end_of(pattern, text, i), i + 1)].rstrip(_BLANK)
        self._say(prose)
        return i + len(prose)

    def _in_held_code(self) -> bool:
        """Whether what follows a held fence shows that it opens code."""
        return self._held_code or self._held_backticks > 0

    def _brace(self, text: str, i: int, final: bool) -> int:
        if i + 1 == len(text) and not final:
            return NEED_MORE
        if text.startswith("{{", i):
            if self._in_held_code():
                self._say("")
                return i
            self._mode = "braces"
            self._say("{{")
            return i + 2
        opens = ahead(OPENING, text, i, final)
        if opens is None:
            return NEED_MORE
        if opens:
            return self._open_probe(text, i)
        if self._at_line_start():
            opens = ahead(ENCODED_BARE, text, i, final)
            if opens is None:
                return NEED_MORE
            if opens:
                self._open_encoded(bare=True)
                return i
        return self._words(text, i)

    def _tag(self, text: str, i: int, final: bool) -> int:
        call = ahead(TOOL_CALL, text, i, final)
        if call is None:
            return NEED_MORE
        if not call or self._in_held_code():
            return self._words(text, i)
        self._let_go()
        self._texts.seam()
        self._texts.line_break()
        self._after_object = True
        self._mode = "call"
        return int(TOOL_CALL.match(text, i).end("tag"))

    def _quote(self, text: str, i: int, final: bool) -> int:
        if self._lost_end:
            found = LOST_END.match(text, i, partial=True)
            if found and found.partial and not final:
                return NEED_MORE
            if found and (not found.partial or found["end"] is not None):
                self._lost_end = False
                self._after_object = True
                self._let_go()
                return int(found.end("end"))
        if self._at_line_start():
            opens = ahead(ENCODED_STRING, text, i, final)
            if opens is None:
                return NEED_MORE
            if opens:
                self._open_encoded(bare=False)
                return i + 1
        return self._words(text, i)

    def _word(self, text: str, i: int, final: bool) -> int:
        found = JSON_WORD.match(text, i, partial=True)
        if found and found.partial and not final:
            return NEED_MORE
        if not found or found.partial:
            return self._words(text, i)
        self._hold(text[i : found.start("next")])
        return int(found.start("next"))

    def _blanks(self, text: str, i: int) -> int:
        """Waits with white space: before an object it is not wanted."""
        j = min(end_of(_BLANKS, text, i), i + MAX_HELD + 1 - len(self._held))
        blanks = text[i:j]
        if self._after_object and not self._held:
            if "\n" in blanks or "\r" in blanks:
                self._texts.line_break()
                self._after_fence = max(0, self._after_fence - blanks.count("\n"))
        else:
            self._hold(blanks)
        return j

    # Fences and backticks.

    def _ticks(self, text: str, i: int, final: bool) -> int:
        j = end_of(_RUN, text, i)
        if j == len(text) and j - i < MAX_RUN and not final:
            return NEED_MORE
        run = text[i:j]
        if self._after_object and run[0] == "`" and len(run) == self._backticks:
            self._backticks = 0
            return j
        if len(run) < MIN_FENCE or (run[0] == "~" and not self._at_line_start()):
            return self._few_ticks(text, i, j, final)
        found = _FENCE.match(text, i, partial=True)
        if found and found.partial and not final:
            return NEED_MORE
        return self._fence_met(text, i, found, run)

    def _few_ticks(self, text: str, i: int, j: int, final: bool) -> int:
        run = text[i:j]
        if run[0] == "~" or self._in_held_code():
            if self._in_held_code():
                self._say("")
                return i
            self._say(run)
            return j
        if self._at_line_start():
            word = JSON_WORD.match(text, j, partial=True)
            if word and word.partial and not final:
                return NEED_MORE
            if word and not word.partial:
                self._held_backticks = len(run)
                self._hold(text[i : word.start("next")])
                return int(word.start("next"))
            opens = ahead(OPENING, text, end_of(_BLANKS, text, j), final)
            if opens is None or (not final and end_of(_BLANKS, text, j) == len(text)):
                return NEED_MORE
            if opens or text[j : j + 1] == "[":
                self._held_backticks = len(run)
                self._hold(run)
                return j
        self._mode = "inline"
        self._run = len(run)
        self._say(run)
        return j

    def _fence_met(self, text: str, i: int, found: Any, run: str) -> int:
        j = i + len(run)
        bare = not found or found.partial or not found["info"].strip()
        ends_line = not found or found.partial or found["next"] in "\r\n"
        closes = bare and ends_line and self._fences
        if closes and (found or not text[j:].strip(_BLANK)):
            self._close_fence()
            return j
        if bare and found and self._after_fence == 1 and not self._held.strip(_BLANK):
            self._after_fence = 0  # the same fence, closed twice
            self._let_go()
            return j
        if self._held_code and bare and self._held_fences:  # code with nothing in it
            self._held_code = False
            self._held_fences = []
            self._say(run)
            return j
        strict = found and (found.partial or _INFO.fullmatch(found["info"]))
        if not strict and not self._at_line_start():
            return (
                self._few_ticks(text, i, j, True) if not self._in_held_code() else self._code_on(i)
            )
        self._held_code = self._held_code or self._at_line_start()
        self._held_fences.append((run[0], len(run)))
        if not found or found.partial:
            self._say(run)
            return j
        self._hold(text[i : found.start("next")])
        return int(found.start("next"))

    def _code_on(self, i: int) -> int:
        self._say("")
        return i

    def _close_fence(self) -> None:
        """The fence around objects ends; what is before it may have been prose."""
        self._fences.pop()
        self._let_go()
        self._texts.seam()
        self._texts.line_break()
        self._after_object = True
        self._after_fence = 2

    def _at_line_start(self) -> bool:
        """Whether nothing but blanks and glue stands before it on its line."""
        line = self._held.rpartition("\n")
        if line[2].strip(" \t[,"):
            return False
        return bool(line[1]) or self._line_blank or self._after_object or not self._said

    def _hold(self, glue: str) -> None:
        self._held += glue
        if len(self._held) > MAX_HELD:
            self._say("")

    def _say(self, prose: str) -> None:
        """What was held is prose too; a fence among it opens code."""
        whole = self._held + prose
        if self._held_code:
            self._mode, self._fence = "code", self._held_fences[0]
        elif self._held_backticks and self._mode == "prose":
            self._mode, self._run = "inline", self._held_backticks
        self._let_go()
        if not whole:
            return
        self._texts.say(self._kind(), whole)
        self._said = True
        self._after_object = False
        self._after_fence = 0
        if _PLAIN_LINE.fullmatch(whole):
            self._line_blank = self._line_blank and not whole.strip(_BLANK)
            return
        line = whole.rpartition("\n")
        self._brackets = (
            (0 if line[1] else self._brackets) + line[2].count("[") - line[2].count("]")
        )
        self._line_blank = not line[2].strip(_BLANK) and (bool(line[1]) or self._line_blank)
