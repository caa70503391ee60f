"""Strings within a broken or whole object: where they end, what they say, and their clean JSON.

Raw line breaks, tabs and other control characters are taken. A backslash that begins no escape is
a backslash. A quote ends a string only where what follows can follow a string: `say "hi" twice` is
one string, however it was quoted. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from formatter_svc.lookahead import (
    AFTER_CONTENT,
    AFTER_ELEMENT,
    AFTER_MEMBER,
    AFTER_OPEN_CONTENT,
    AFTER_QUOTED_CONTENT,
    KNOWN_BLOCK,
    LAST_QUOTE,
    LATEX,
    PATH,
    PATH_START,
    ahead,
)

# What a step answers when the text at hand does not say yet what comes.
NEED_MORE: Final = -1

# By how a string opened: what may close it. One that a word opened, without a quote, has `bare`.
CLOSERS: Final = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": '”"“',
    "”": '”"',
    "„": '“”"',
    "‘": "’'‘",
    "’": "’'",
    "«": "»",
    "»": "«",
    "＂": '＂"',
    '"""': '"',
}
TRIPLE: Final = '"""'
# What the string at hand is for; a `word` is a type, which holds no quote.
Role = Literal["key", "word", "member", "content", "element"]

_PLAIN: Final = {
    opener: re.compile(rf'[^"\\\x00-\x1f{re.escape(closers)}]*')
    for opener, closers in CLOSERS.items()
}
_PLAIN_AT_LINE_START: Final = {
    opener: re.compile(rf'[^"\\{{\x00-\x1f{re.escape(closers)}]*')
    for opener, closers in CLOSERS.items()
}
_RUNS: Final = re.compile(r"`+|[^`]+")
MIN_FENCE: Final = 3
DRIVE_SIZE: Final = 4  # with what stands before it
_BRACES: Final = re.compile(r"[{}]")
_SIMPLE: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "'": "'",
}
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_BEGUN: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_LOW: Final = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_DRIVE: Final = re.compile(r"(?:.?[^a-zA-Z0-9])?[a-zA-Z]:")
_LOW_BEGUN: Final = re.compile(r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?")
# What follows nearly every quote that closes: the short way to the same answer.
_PLAINLY: Final = {
    "member": re.compile(r'.[ \n]{0,32}(?:\}|,[ \n]{0,32}"[^"\\\n]{0,64}":)'),
    "content": re.compile(r".[ \n]{0,32}\}"),
    "element": re.compile(r'.[ \n]{0,32}(?:\]|,[ \n]{0,32}["\d\[{-])'),
}
_AFTER: Final = {"member": AFTER_MEMBER, "content": AFTER_CONTENT, "element": AFTER_ELEMENT}


def end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where a pattern that matches from `start` ends; `start` where it does not."""
    found = pattern.match(text, start)
    return found.end() if found else start


def size_of(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


class Strings:
    """The part of a reader that is within strings."""

    def __init__(self) -> None:
        self._opener = ""  # of the string at hand; empty outside strings
        self._role: Role = "key"
        self._word: list[str] | None = None  # what the string at hand says, where it is wanted
        self._fresh = False  # nothing but blanks since the last line break
        self._quoted = False  # a quote within the string was one of its own
        self._braces = 0  # open braces of the string's own, since
        self._last = ""  # the last piece of the string that is not blank
        self._letter_follows = False  # a letter followed the quote that ended a key
        self._path = False  # a backslash of the word at hand was no escape
        self._near = ""  # the last characters since a backslash, enough to hold a drive
        self._fenced = False  # within a fence of the string's own
        self._ticks = 0  # backticks that the string ends with so far

    # What a reader makes of it.

    def _piece(self, source: str, decoded: str, json: str | None = None) -> None:
        """Takes a piece of a string: as it stands, as it is meant, and as JSON where that
        differs from how it stands."""
        raise NotImplementedError

    def _close_string(self, source: str) -> None:
        raise NotImplementedError

    def _cut(self) -> None:
        """Ends the object where the next block begins."""
        raise NotImplementedError

    # How it is found.

    def _enter_string(self, opener: str, role: Role) -> None:
        self._opener = opener
        self._role = role
        self._quoted = False
        self._braces = 0
        self._last = ""
        self._path = False
        self._near = ""
        self._fenced = False
        self._ticks = 0

    def _string(self, text: str, i: int, final: bool) -> int:
        plains = _PLAIN_AT_LINE_START if self._fresh else _PLAIN
        j = end_of(plains[self._opener], text, i)
        if j > i:
            self._plain(text[i:j])
            return j
        char = text[i]
        if char == "\\":
            return self._escape(text, i, final)
        if char in CLOSERS[self._opener]:
            return self._quote(text, i, final)
        if char == "{":
            return self._maybe_new_block(text, i, final)
        if char in "\n\r":
            self._fresh = True
        if self._ticks:
            self._count_ticks(char)
        self._piece(char, char, '\\"' if char == '"' else f"\\u{ord(char):04x}")
        return i + 1

    def _plain(self, plain: str) -> None:
        self._near = (self._near + plain)[-DRIVE_SIZE:]
        if not plain.isspace():
            self._last = plain
            self._fresh = False
        if self._path and " " in plain:
            self._path = False
        if self._ticks or "`" in plain:
            self._count_ticks(plain)
        if self._quoted:
            for brace in _BRACES.findall(plain):
                self._braces = max(0, self._braces + (1 if brace == "{" else -1))
        self._piece(plain, plain)

    def _count_ticks(self, text: str) -> None:
        for run in _RUNS.findall(text):
            if run[0] == "`":
                self._ticks += len(run)
                continue
            self._fenced ^= self._ticks >= MIN_FENCE
            self._ticks = 0

    def _maybe_new_block(self, text: str, i: int, final: bool) -> int:
        """A line within a string starts with `{`: a block of its own if it is of a known type, and
        no text shows it within a fence."""
        if self._ticks:
            self._count_ticks("\n")
        shown = self._fenced and self._role == "content"
        new = not shown and ahead(KNOWN_BLOCK, text, i, final)
        if new is None:
            return NEED_MORE
        if new:
            self._cut()
            return i
        self._fresh = False
        self._plain("{")
        return i + 1

    def _quote(self, text: str, i: int, final: bool) -> int:
        closes = self._closes(text, i, final)
        if closes is None:
            return NEED_MORE
        char = text[i]
        self._fresh = False
        if closes:
            length = len(self._opener)
            self._opener = ""
            self._letter_follows = text[i + 1 : i + 2].isalnum()
            self._close_string(text[i : i + length])
            return i + length
        if not self._quoted:
            self._quoted = True
            self._braces = int(self._last.rstrip().endswith("{"))
        self._piece(char, char, '\\"' if char == '"' else None)
        return i + 1

    def _closes(self, text: str, i: int, final: bool) -> bool | None:
        """Whether the quote closes the string; None: what follows has to come first."""
        if self._opener == TRIPLE:
            marks = text[i : i + len(TRIPLE)]
            return None if marks in ('"', '""') and not final else marks == TRIPLE
        if self._role == "word":
            return True
        if self._role == "key":
            return True if final or i + 1 < len(text) else None
        if not self._quoted and _PLAINLY[self._role].match(text, i):
            return True
        if final and LAST_QUOTE.fullmatch(text, i):
            return True
        found = ahead(self._after(), text, i, final)
        if found is False and final and self._role == "member":
            return bool(self._after().match(text, i, partial=True))
        return found

    def _after(self) -> Any:
        if self._role == "content" and self._quoted:
            return AFTER_OPEN_CONTENT if self._braces else AFTER_QUOTED_CONTENT
        return _AFTER[self._role]

    def _escape(self, text: str, i: int, final: bool) -> int:
        found = _ESCAPE.match(text, i)
        if found is None:
            if not final and _ESCAPE_BEGUN.fullmatch(text, i):
                return NEED_MORE
            return self._no_escape(text, i)
        source = found.group()
        if self._ticks:
            self._count_ticks(source)
        if source[1] in "bfnrt":
            plain = ahead(self._no_escapes(), text, i, final)
            if plain is None:
                return NEED_MORE
            if plain:
                return self._no_escape(text, i)
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
        self._last = "\\"
        self._near = ""
        self._piece(source, char, json)
        return i + len(source)

    def _no_escapes(self) -> Any:
        """What tells that a backslash begins no escape, though it could."""
        if self._in_path():
            return PATH
        return PATH_START if self._after_drive() else LATEX

    def _after_drive(self) -> bool:
        return _DRIVE.fullmatch(self._near) is not None

    def _in_path(self) -> bool:
        r"""Whether it follows a word that an undoubled backslash came before, as in `C:\a\b`."""
        return self._path and self._last[-1:].isalnum()

    def _no_escape(self, text: str, i: int) -> int:
        r"""`\'` is an apostrophe, and any other backslash is one that was not doubled."""
        self._fresh = False
        if text[i + 1 : i + 2].isalpha():
            self._path = True
        self._last = "\\"
        self._near = ""
        if text[i + 1 : i + 2] in ("'", "’", "‘"):
            self._piece(text[i : i + 2], text[i + 1], text[i + 1])
            return i + 2
        self._piece("\\", "\\", "\\\\")
        return i + 1
