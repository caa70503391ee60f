"""One JSON object out of a stream of text: one pass, character by character cut or whole.

The rules (PROTOCOL §6):

- The scanner knows at each character whether what it saw can still be JSON. As soon as it
  cannot, the object is *broken*: nothing more of it is kept or painted, and it ends at its
  matching brace or where a line starts with `{"type"`. An object that is not broken is not
  ended by such a line: rows of a chart may well start so. But a line that starts a block of a
  type we know, where rows before it did not start so, shows that the object was never closed.
- A `text` object's `content` is painted while it arrives. If `content` comes before `type`, it
  is kept until the type is known.
- At most 256 KiB, at most 32 levels; memory never holds more than one such object.
- Raw line breaks and tabs inside strings are taken; other control characters are not JSON.

Nothing is read twice, but for a few characters (an escape, the start of a line) whose meaning
hangs on what comes next. Pure: text in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from formatter_svc.reasons import Reason

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
# What a step answers when the text at hand does not say yet what comes.
NEED_MORE: Final = -1

_Expect = Literal["first_key", "key", "colon", "first_value", "value", "next"]

# The structural characters that may stand where.
_ALLOWED: Final[dict[_Expect, str]] = {
    "first_key": '"}',
    "key": '"',
    "colon": ":",
    "first_value": '"{[]',
    "value": '"{[',
    "next": ",}]",
}
_CLOSES: Final = {"}": "{", "]": "["}
_SIMPLE: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_RAW: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SCALAR: Final = re.compile(r'[^ \t\r\n"{}\[\]:,]*')
_LITERAL: Final = re.compile(
    r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
)
# Characters of a string that mean themselves; at the start of a line a brace may not.
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_PLAIN_AT_LINE_START: Final = re.compile(r'[^"\\\x00-\x1f{]*')
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_BEGUN: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_LOW: Final = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_LOW_BEGUN: Final = re.compile(r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?")
_NEW_BLOCK: Final = re.compile(r'\{[ \t]{0,16}"type"')
_NEW_BLOCK_BEGUN: Final = re.compile(r'\{[ \t]{0,16}(?:"(?:t(?:y(?:p(?:e)?)?)?)?)?')
_KNOWN_BLOCK: Final = re.compile(
    r'\{[ \t]{0,16}"type"[ \t]{0,16}:[ \t]{0,16}"(?:text|chart|table|timeline|entity_ref)"'
)
_KNOWN_BLOCK_BEGUN: Final = re.compile(
    r'\{[ \t]{0,16}(?:"[a-z]{0,4}(?:"[ \t]{0,16}(?::[ \t]{0,16}(?:"[a-z_]{0,10})?)?)?)?'
)
_RUBBLE: Final = re.compile(r'[^"{}]*')
_RUBBLE_STRING: Final = re.compile(r'[^"\\{]*')


@dataclass(frozen=True, slots=True)
class Block:
    """A whole object other than a text: its type and its value, nothing of it checked yet."""

    type: str
    value: dict[str, object]
    size: int  # bytes in the stream


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that shows nothing, or nothing more."""

    reason: Reason
    type: str | None
    size: int  # bytes in the stream


def end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where a pattern that matches from `start` ends; `start` where it does not."""
    found = pattern.match(text, start)
    return found.end() if found else start


def size_of(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


class ObjectScanner:
    """Reads one object from its `{` on.

    `step(text, start, final)` answers where it came to, or NEED_MORE; once `ended` is true,
    `outcome` tells what the object was (None: a text, painted). `paint` gets a text's content.
    """

    def __init__(self, paint: Callable[[str], None]) -> None:
        self.ended = False
        self.outcome: Block | Skipped | None = None
        self.size = 0
        self._paint = paint
        self._broken: Reason | None = None
        self._braces = 0  # open braces; kept while broken only
        self._stack: list[str] = []
        self._expect: _Expect = "value"
        self._scalar: list[str] | None = None
        self._in_string = False
        self._fresh = False  # nothing but blanks since the last line break
        self._role: Literal["key", "type", "content"] | None = None  # of the string at hand
        self._word: list[str] = []  # a key or a type, so far
        self._key: str | None = None  # the key at hand, of the object itself
        self._seen: set[str] = set()
        self._type: str | None = None
        self._content: list[str] = []  # a content whose type is not known yet
        self._has_content = False
        self._parts: list[str] = []
        self._typed_rows = False  # a line within it started with `{"type"`

    def step(self, text: str, start: int, final: bool) -> int:
        """Goes on from `start`; `final` says that no more text will come."""
        if self._broken is not None:
            return self._rubble(text, start, final)
        if self._in_string:
            return self._string(text, start, final)
        return self._structure(text, start, final)

    def give_up(self) -> None:
        """Ends the object where the answer ends."""
        self._end(self._broken or Reason.UNCLOSED)

    def _break(self, reason: Reason) -> None:
        self._broken = reason
        self._braces = self._stack.count("{")
        self._parts = []
        self._content = []
        self._word = []
        self._scalar = None

    def _end(self, reason: Reason) -> None:
        self.ended = True
        self.outcome = Skipped(reason, self._type, self.size)

    # Outside strings.

    def _structure(self, text: str, i: int, final: bool) -> int:
        if self._scalar is not None:
            return self._go_on_with_scalar(text, i)
        j = end_of(_SPACE, text, i)
        if j > i:
            self._watch_lines(text[i:j])
            return j if self._keep(text[i:j]) else i
        char = text[i]
        if char not in '{}[]:,"':
            if self._expect not in ("value", "first_value"):
                self._break(Reason.MALFORMED)
            else:
                self._scalar = []
                self._expect = "next"
            return i
        if not self._may(char):
            return i
        if char == "{" and self._fresh and self._stack:
            if not final and _KNOWN_BLOCK_BEGUN.fullmatch(text, i):
                return NEED_MORE
            if self._was_never_closed(text, i):
                self._end(Reason.UNCLOSED)
                return i
        if not self._keep(char):
            return i
        self._fresh = False
        self._punctuate(char)
        return i + 1

    def _may(self, char: str) -> bool:
        """Whether the structural character may stand here; breaks the object if not."""
        if char not in _ALLOWED[self._expect] or (
            char in _CLOSES and self._stack[-1] != _CLOSES[char]
        ):
            self._break(Reason.MALFORMED)
        elif char in "{[" and len(self._stack) == MAX_DEPTH:
            self._break(Reason.TOO_DEEP)
        return self._broken is None

    def _was_never_closed(self, text: str, i: int) -> bool:
        """Whether the line is a block of its own, and not a row of this one."""
        rows = self._typed_rows
        self._typed_rows = rows or bool(_NEW_BLOCK.match(text, i))
        return not rows and bool(_KNOWN_BLOCK.match(text, i))

    def _punctuate(self, char: str) -> None:
        match char:
            case '"':
                self._open_string()
            case "{":
                self._stack.append(char)
                self._expect = "first_key"
            case "[":
                self._stack.append(char)
                self._expect = "first_value"
            case ":":
                self._expect = "value"
            case ",":
                self._expect = "key" if self._stack[-1] == "{" else "value"
            case _:
                self._stack.pop()
                self._expect = "next"
                if not self._stack:
                    self._close()

    def _go_on_with_scalar(self, text: str, i: int) -> int:
        """Numbers and literals may be cut; they are looked at when the next thing begins."""
        assert self._scalar is not None  # noqa: S101 - the caller looked
        j = end_of(_SCALAR, text, i)
        if j > i:
            if not self._keep(text[i:j]):
                return i
            self._scalar.append(text[i:j])
            self._fresh = False
        if j < len(text):
            if _LITERAL.fullmatch("".join(self._scalar)):
                self._scalar = None
            else:
                self._break(Reason.MALFORMED)
        return j

    def _close(self) -> None:
        if self._type == "text":
            self.ended = True
            if not self._has_content:
                self._end(Reason.BAD_TEXT)
        elif self._type is None:
            self._end(Reason.NO_TYPE)
        else:
            try:
                value = orjson.loads("".join(self._parts))
            except orjson.JSONDecodeError:  # a number beyond all doubles
                self._end(Reason.MALFORMED)
            else:
                self.ended = True
                self.outcome = Block(self._type, value, self.size)

    # Inside strings.

    def _open_string(self) -> None:
        self._in_string = True
        self._role = None
        outermost = len(self._stack) == 1
        if self._expect in ("key", "first_key"):
            self._expect = "colon"
            self._role = "key" if outermost else None
            return
        self._expect = "next"
        if outermost and self._key == "type":
            self._role = "type"
        elif outermost and self._key == "content" and self._type in (None, "text"):
            self._role = "content"

    def _close_string(self) -> None:
        self._in_string = False
        match self._role:
            case "key":
                self._key = "".join(self._word)
                self._word = []
                if self._key in ("type", "content"):
                    if self._key in self._seen:
                        self._break(Reason.DUPLICATE_KEY)
                    self._seen.add(self._key)
            case "type":
                self._learn_type("".join(self._word))
                self._word = []
            case "content":
                self._has_content = True
            case None:
                pass

    def _learn_type(self, word: str) -> None:
        self._type = word
        if word == "text":
            for piece in self._content:
                self._paint(piece)
            self._parts = []
        self._content = []

    def _string(self, text: str, i: int, final: bool) -> int:
        j = end_of(_PLAIN_AT_LINE_START if self._fresh else _PLAIN, text, i)
        if j > i:
            plain = text[i:j]
            if self._fresh:
                self._fresh = plain.isspace()
            return j if self._say(plain, plain) else i
        char = text[i]
        if char == '"':
            if not self._keep(char):
                return i
            self._fresh = False
            self._close_string()
            return i + 1
        if char == "\\":
            return self._escape(text, i, final)
        if char == "{":  # a line starts with it
            return self._maybe_new_block(text, i, final)
        if char in _RAW:
            self._fresh = self._fresh or char != "\t"
            return i + 1 if self._say(char, char, _RAW[char]) else i
        self._break(Reason.MALFORMED)
        return i

    def _maybe_new_block(self, text: str, i: int, final: bool) -> int:
        """A line within a string starts with `{`; with `{"type"` it cannot be JSON any more."""
        if _NEW_BLOCK.match(text, i):
            self._end(Reason.UNCLOSED)
            return i
        if not final and _NEW_BLOCK_BEGUN.fullmatch(text, i):
            return NEED_MORE
        self._fresh = False
        return i + 1 if self._say("{", "{") else i

    def _escape(self, text: str, i: int, final: bool) -> int:
        found = _ESCAPE.match(text, i)
        if found is None:
            if not final and _ESCAPE_BEGUN.fullmatch(text, i):
                return NEED_MORE
            self._break(Reason.MALFORMED)
            return i
        source = found.group()
        json = None
        if source[1] != "u":
            char = _SIMPLE[source[1]]
        else:
            code = int(source[2:], 16)
            if 0xD800 <= code < 0xDC00 and (low := _LOW.match(text, i + 6)):
                source += low.group()
                code = 0x10000 + ((code - 0xD800) << 10) + int(source[8:], 16) - 0xDC00
            elif 0xD800 <= code < 0xDC00 and not final and _LOW_BEGUN.fullmatch(text, i + 6):
                return NEED_MORE
            elif 0xD800 <= code < 0xE000:  # half a pair, which has no UTF-8
                code, json = 0xFFFD, "\\ufffd"
            char = chr(code)
        self._fresh = False
        return i + len(source) if self._say(source, char, json) else i

    def _say(self, source: str, decoded: str, json: str | None = None) -> bool:
        """Takes a piece of a string: as it stands, as it is meant, and as JSON where that
        differs from how it stands. False where it is too much."""
        painting = self._role == "content" and self._type == "text"
        room = MAX_BYTES - self.size
        if not self._keep(source, json):
            if painting and source == decoded:  # what fits does not hang on how tokens were cut
                self._paint(source.encode()[:room].decode(errors="ignore"))
            return False
        if painting:
            self._paint(decoded)
        elif self._role == "content":
            self._content.append(decoded)
        elif self._role is not None:
            self._word.append(decoded)
        return True

    def _keep(self, source: str, json: str | None = None) -> bool:
        size = size_of(source)
        if self.size + size > MAX_BYTES:
            self._break(Reason.TOO_LARGE)
            return False
        self.size += size
        if self._type != "text":  # whose content is all that is wanted of it
            self._parts.append(source if json is None else json)
        return True

    # After it broke.

    def _rubble(self, text: str, i: int, final: bool) -> int:
        """Looks for the end of a broken object."""
        j = end_of(_RUBBLE_STRING if self._in_string else _RUBBLE, text, i)
        if j > i:
            return self._pass(text, i, j)
        char = text[i]
        if char == "\\":
            return NEED_MORE if i + 1 == len(text) and not final else self._pass(text, i, i + 2)
        if char == "{" and self._fresh:
            if _NEW_BLOCK.match(text, i):
                self._end(self._broken or Reason.UNCLOSED)
                return i
            if not final and _NEW_BLOCK_BEGUN.fullmatch(text, i):
                return NEED_MORE
        if char == '"':
            self._in_string = not self._in_string
        elif not self._in_string:
            self._braces += 1 if char == "{" else -1
        self._pass(text, i, i + 1)
        if not self._braces:
            self._end(self._broken or Reason.UNCLOSED)
        return i + 1

    def _pass(self, text: str, i: int, j: int) -> int:
        passed = text[i:j]
        self.size += size_of(passed)
        self._watch_lines(passed)
        return i + len(passed)

    def _watch_lines(self, passed: str) -> None:
        """Keeps whether all since the last line break is blank."""
        line = max(passed.rfind("\n"), passed.rfind("\r")) + 1
        self._fresh = (line > 0 or self._fresh) and not passed[line:].strip(" \t")
