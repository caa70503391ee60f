"""A model's answer, token by token, into text for people and JSON objects.

    stream = JsonStream()
    for token in tokens:
        events += stream.feed(token)
    events += stream.close()

The rules (PROTOCOL §6):

- An object opens at a `{` followed by a `"`, white space between them allowed; what is inside it
  is json_object's. Any other brace or bracket is text.
- Objects may stand one after another, on lines, separated by commas, in an array, in a ``` fence:
  the white space, commas, brackets and fences between them are dropped. All else outside an
  object is prose, and is text as it stands, fenced code for people too.
- Where two texts meet (prose and the content of text objects alike) a paragraph break is kept.
- The same text gives the same events however it is cut, up to how texts are cut.

One pass: what cannot be understood yet (`held`, `tail`) is bounded. Pure: text in, events out.
"""

from __future__ import annotations

import re
from typing import Final

from formatter_svc.json_object import NEED_MORE, ObjectScanner, end_of
from formatter_svc.texts import Event, Texts

# How much white space, commas and brackets may wait for the object that makes them glue.
MAX_HELD: Final = 1024
MIN_FENCE: Final = 3

_BLANK: Final = " \t\r\n"
_BLANKS: Final = re.compile(r"[ \t\r\n]{1,1024}")
_PROSE: Final = re.compile(r"[^\[{`]+")
_OPENING: Final = re.compile(r'\{[ \t\r\n]{0,1024}"')
_OPENING_BEGUN: Final = re.compile(r"\{[ \t\r\n]{0,1024}")
# A line of a fence, or a fence right before an array or an object.
_FENCE: Final = re.compile(r"`{3,16}[ \t]{0,16}([A-Za-z0-9_+.#-]{0,32})[ \t]{0,16}(?=[\r\n\[{])")
_FENCE_BEGUN: Final = re.compile(r"`{1,2}|`{3,16}[ \t]{0,16}([A-Za-z0-9_+.#-]{0,32})[ \t]{0,16}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class JsonStream:
    """Incremental; `close` once, at the end."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._tail = ""  # too short to tell what it is
        self._begun = False
        self._object: ObjectScanner | None = None
        self._after_object = False  # nothing but glue since the last object
        self._arrays = 0  # open arrays around objects
        self._fenced = False  # within a fence around objects
        self._code = False  # within a fence of prose
        self._said = False
        self._held = ""  # glue if an object follows, prose if not
        self._held_arrays = 0
        self._held_fence = False
        self._held_code = False

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece and returns what it brought."""
        if not text.isascii():
            text = _SURROGATE.sub("\ufffd", text)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        self._run(text, final=False)
        return self._texts.take()

    def close(self) -> list[Event]:
        """Takes the end of the answer and returns what was waiting for it."""
        self._run("", final=True)
        if self._object:
            self._object.give_up()
            self._close_object(self._object)
        elif self._held and not self._after_object:
            self._say("")
        return self._texts.take()

    def _run(self, text: str, final: bool) -> None:
        text = self._tail + text
        i = 0
        while i < len(text):
            j = self._step(text, i, final)
            if j == NEED_MORE:
                break
            i = j
        self._tail = text[i:]

    def _step(self, text: str, i: int, final: bool) -> int:
        if self._object is None:
            return self._outside(text, i, final)
        j = self._object.step(text, i, final)
        if self._object.ended:
            self._close_object(self._object)
        return j

    # Objects.

    def _open_object(self) -> None:
        if "\n" in self._held or "\r" in self._held:
            self._texts.line_break()
        self._arrays += self._held_arrays
        self._fenced = self._fenced or self._held_fence
        self._let_go()
        self._texts.seam()
        self._object = ObjectScanner(lambda content: self._texts.say("content", content))

    def _close_object(self, scanner: ObjectScanner) -> None:
        if scanner.outcome:
            self._texts.add(scanner.outcome)
        self._texts.seam()
        self._object = None
        self._after_object = True

    # Prose, and the glue between objects.

    def _outside(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        if char == "{":
            return self._brace(text, i, final)
        if char == "`":
            return self._backtick(text, i, final)
        if char in _BLANK:
            return self._blanks(text, i)
        if char == "]" and self._after_object and self._arrays and not self._held_arrays:
            self._arrays -= 1
            self._held = ""
        elif char == "[":
            self._held_arrays += 1
            self._hold(char)
        elif char == "," and self._after_object:
            self._hold(char)
        else:
            prose = text[i : end_of(_PROSE, text, i)].rstrip(_BLANK)
            self._say(prose)
            return i + len(prose)
        return i + 1

    def _brace(self, text: str, i: int, final: bool) -> int:
        if _OPENING.match(text, i):
            self._open_object()
            return i
        if not final and _OPENING_BEGUN.fullmatch(text, i):
            return NEED_MORE
        self._say("{")
        return i + 1

    def _blanks(self, text: str, i: int) -> int:
        """Waits with white space: before an object it is not wanted."""
        j = min(end_of(_BLANKS, text, i), i + MAX_HELD + 1 - len(self._held))
        blanks = text[i:j]
        if self._after_object and not self._held:
            if "\n" in blanks or "\r" in blanks:
                self._texts.line_break()
        else:
            self._hold(blanks)
        return j

    def _backtick(self, text: str, i: int, final: bool) -> int:
        fence = _FENCE.match(text, i)
        if fence is None:
            begun = _FENCE_BEGUN.fullmatch(text, i)
            if begun and not final:
                return NEED_MORE
            if begun is None or begun.end() - i < MIN_FENCE:
                self._say("`")
                return i + 1
            fence = begun
        if self._fenced and not fence.group(1):
            self._close_fence()
        elif self._code and not fence.group(1):
            self._say(fence.group())
            self._code = False
        else:
            self._held_fence = True
            self._held_code = self._at_line_start()
            self._hold(fence.group())
        return fence.end()

    def _close_fence(self) -> None:
        """The fence around objects ends; what is before it may have been prose."""
        self._fenced = False
        self._let_go()
        self._texts.seam()
        self._texts.line_break()
        self._after_object = True

    def _at_line_start(self) -> bool:
        line = self._held.rstrip(" \t")
        return line.endswith(("\n", "\r")) if line else self._after_object or not self._said

    def _hold(self, glue: str) -> None:
        self._held += glue
        if len(self._held) > MAX_HELD:
            self._say("")

    def _let_go(self) -> None:
        self._held = ""
        self._held_arrays = 0
        self._held_fence = False
        self._held_code = False

    def _say(self, prose: str) -> None:
        """What was held is prose too."""
        self._code = self._code or self._held_code
        self._texts.say("prose", self._held + prose)
        self._let_go()
        self._said = True
        self._after_object = False
