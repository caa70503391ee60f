"""Reads one object out of a stream of text, mending its slips on the way: one pass, whole or cut.

A reader never fails. What it gives to `_write` is clean JSON: commas, colons and closers are set by
what was read, not by how they stood. It keeps an order of what may come (`_state`), and what comes
instead is taken for the slip that it most likely is:

- `,` twice, at the end or nowhere; `:` nowhere; `...` for what was left out; comments: mended.
- A bare word is a key where a key may stand, a scalar where a value may (see `mending`).
- A closer that does not fit closes what the closers beside it and what follows them suggest.
- A block of a known type where none can stand, or on a line of its own, shows that this object was
  never closed: it ends there.

Subclasses say what is done with what was read. Pure: text in, hooks out.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import orjson

from formatter_svc.lookahead import (
    BARE_LITERAL,
    CLOSERS_AHEAD,
    KEY_AHEAD,
    KEY_ENDS,
    KNOWN_BLOCK,
    NEXT_MEMBER,
    TYPED,
    ahead,
)
from formatter_svc.mending import Follow, levels_closed, mend_scalar
from formatter_svc.strings import (
    CLOSERS,
    MIN_FENCE,
    NEED_MORE,
    TRIPLE,
    Role,
    Strings,
    end_of,
    size_of,
)

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32

# A bare key that is longer is no key.
MAX_BARE_KEY: Final = 128
# The members that hold what a text says; its titles are shown, too.
CONTENT: Final = frozenset(("content", "text", "value", "markdown", "response", "blocks"))
SHOWN: Final = CONTENT | {"title", "heading"}

# What may come: a key or a closer, a colon, a value, a comma or a closer.
State = Literal["key", "colon", "value", "next"]

_SPACE: Final = re.compile(r"[ \t\r\n\ufeff\u00a0]+")
_BARE_KEY: Final = re.compile(rf"[^\s:=,{{}}\[\]\"'“”]{{1,{MAX_BARE_KEY}}}")
_SCALAR: Final = re.compile(r'[^,}\]\[{"“\n\r/]+')
_LINE: Final = re.compile(r"[^\r\n]+")
_NO_STAR: Final = re.compile(r"[^*{]+")
_RUN: Final = re.compile(r"[}\]](?:[ \t\r\n]{0,16}[}\]]){0,63}")


class Reader(Strings):
    """`read(text, start, final)` answers where it came to, or NEED_MORE; until `ended`."""

    # Whether whoever feeds it has to do something before it can go on.
    paused = False

    def __init__(self) -> None:
        super().__init__()
        self.ended = False
        self.size = 0  # bytes read
        self._state: State = "value"
        self._stack: list[str] = []
        self._filled: list[bool] = []  # whether the container holds anything yet
        self._keys: list[str] = []  # the key at hand of each object, in lower case
        self._excess = 0  # levels that are open beyond MAX_DEPTH
        self._scalar: list[str] | None = None
        self._comment = ""
        self._rows = False  # a line within it started with `{"type"`

    def read(self, text: str, start: int, final: bool) -> int:
        """Goes on from `start` while there is text, until it has ended or is paused; `final` says
        that no more text will come."""
        i, end = start, len(text)
        while True:
            if self._opener:
                j = self._string(text, i, final)
            elif self._scalar is not None:
                j = self._bare(text, i, final)
            elif self._comment:
                j = self._in_comment(text, i, final)
            else:
                j = self._structure(text, i, final)
            if j == NEED_MORE:
                return NEED_MORE if i == start else i
            i = j
            if i >= end or self.ended or self.paused:
                return i

    def give_up(self) -> None:
        """Ends the object where the answer ends."""
        self._cut()

    @property
    def complete(self) -> bool:
        """Whether nothing but closers is missing."""
        inside = self._opener or self._scalar is not None
        return not inside and (
            self._state == "next" or (self._state == "key" and len(self._stack) == 1)
        )

    # Hooks.

    def _take(self, source: str) -> None:
        """Takes text of the stream that was read."""
        self.size += size_of(source)

    def _write(self, json: str) -> None:
        """Takes clean JSON."""

    def _piece(self, source: str, decoded: str, json: str | None = None) -> None:
        self._take(source)
        if self._word is not None:
            self._word.append(decoded)

    def _key_read(self, word: str) -> None:
        """A key of the object at hand."""

    def _value_read(self, json: str) -> None:
        """A scalar at the keys at hand."""

    def _string_read(self, word: str) -> None:
        """A string at the keys at hand; its word where it was wanted."""

    def _wants_word(self) -> bool:
        """Whether the words of the value string that opens are wanted."""
        return False

    def _deep(self) -> None:
        """More levels are open than may be."""

    def _odd(self) -> None:
        """What was met is in no object that a model writes for us."""

    def _takes_blocks(self) -> bool:
        """Whether a block may stand for the value at hand."""
        return False

    def _element(self) -> bool:
        """Met a `{` for a value; true leaves it to someone else."""
        return False

    def _finish(self) -> None:
        """The object is closed."""

    # Outside strings.

    def _structure(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        if char in " \t\r\n\ufeff\u00a0":
            j = end_of(_SPACE, text, i)
            self._blank(text[i:j])
            return j
        if char in "`~" and self._fresh:
            return self._maybe_fence(text, i, final)
        if char in CLOSERS:
            return self._open_quote(text, i, final)
        match char:
            case "{" | "[":
                return self._opening(text, i, final)
            case "}" | "]":
                return self._closing(text, i, final)
            case "," | ";":
                self._comma()
            case ":":
                return self._colon(text, i)
            case "=" if self._state == "colon" and i + 1 == len(text) and not final:
                return NEED_MORE
            case "=" if self._state == "colon":
                return self._colon(text, i)
            case "/" if not final and i + 1 == len(text):
                return NEED_MORE
            case "/" if text[i + 1 : i + 2] in ("/", "*"):
                self._comment = text[i : i + 2]
                self._take(self._comment)
                return i + 2
            case "#" if self._state in ("key", "next"):
                self._comment = "//"
            case _:
                return self._word_met(text, i, final)
        self._take(char)
        return i + 1

    def _maybe_fence(self, text: str, i: int, final: bool) -> int:
        """A line starts with a backtick: the fence around the object ends, and so does it."""
        if not final and len(text) < i + MIN_FENCE:
            return NEED_MORE
        if text.startswith(("```", "~~~"), i):
            self._cut()
            return i
        self._fresh = False
        return self._structure(text, i, final)

    def _blank(self, blanks: str) -> None:
        self._fresh = self._fresh or "\n" in blanks or "\r" in blanks
        self._take(blanks)

    def _in_comment(self, text: str, i: int, final: bool) -> int:
        if self._comment == "//":
            j = end_of(_LINE, text, i)
            if j == i:
                self._comment = ""
                return i
        else:
            j = end_of(_NO_STAR, text, i)
            if text.startswith("*/", j):
                j += 2
                self._comment = ""
            elif j == i:
                return self._at_sign(text, i, final)
        self._fresh = "\n" in text[i:j][-1:]
        self._take(text[i:j])
        return j

    def _at_sign(self, text: str, i: int, final: bool) -> int:
        """A star or a brace within a comment; a block may begin there, if no end came."""
        if text[i] == "{" and self._fresh:
            new = ahead(KNOWN_BLOCK, text, i, final)
            if new:
                self._comment = ""
            if new is not False:
                return NEED_MORE if new is None else i
        if text[i] == "*" and not final and i + 1 == len(text):
            return NEED_MORE
        self._fresh = False
        self._take(text[i])
        return i + 1

    def _wants_value(self) -> bool:
        return self._state == "value" or (self._state == "next" and self._stack[-1] == "[")

    def _comma(self) -> None:
        self._fresh = False
        if self._stack[-1] == "[":
            self._state = "value"
            return
        self._no_value()
        self._state = "key"

    def _no_value(self) -> None:
        """A key that has no value has null."""
        if self._state in ("colon", "value") and self._stack[-1] == "{":
            if self._state == "colon":
                self._odd()
            self._write("null")

    def _colon(self, text: str, i: int) -> int:
        if self._state == "colon":
            self._state = "value"
        elif self._state != "next" or not self._key_of_last():
            self._odd()
            if self.ended:
                return i
        self._fresh = False
        colon = "=>" if text.startswith("=>", i) else text[i]
        self._take(colon)
        return i + len(colon)

    def _key_of_last(self) -> bool:
        """A list was not closed: its last string is the next key."""
        return False

    # Containers.

    def _opening(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        if char == "{" and self._stack and self._new_block_may_stand():
            new = ahead(KNOWN_BLOCK, text, i, final)
            if new is None:
                return NEED_MORE
            if new and not (self._rows and self._wants_value()):
                self._cut()
                return i
            self._rows = self._rows or bool(self._fresh and TYPED.match(text, i))
        self._fresh = False
        if self._stack and self._state in ("key", "next") and self._stack[-1] == "{":
            self._odd()
            if self.ended:
                return i
        if char == "{" and self._stack and self._element():
            return i
        self._take(char)
        self._push(char)
        return i + 1

    def _new_block_may_stand(self) -> bool:
        return (self._fresh or self._state in ("key", "next")) and not self._takes_blocks()

    def _push(self, char: str) -> None:
        if len(self._stack) == MAX_DEPTH:
            self._excess += 1
            self._state = "next"
            self._deep()
            return
        self._begin_value()
        self._write(char)
        self._stack.append(char)
        self._filled.append(False)
        self._keys.append("")
        self._state = "key" if char == "{" else "value"

    def _begin_value(self) -> None:
        """A value comes: sets what has to stand before it."""
        if not self._stack:
            return
        if self._stack[-1] == "[":
            self._begin()
        elif self._state in ("key", "next"):  # a value without a key
            self._begin()
            self._write('"":')
        self._state = "next"

    def _begin(self) -> None:
        if self._filled[-1]:
            self._write(",")
        self._filled[-1] = True

    def _closing(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        levels = 1
        if self._excess:
            self._excess -= 1
            levels = 0
        elif self._stack[-1] != ("{" if char == "}" else "["):
            found = CLOSERS_AHEAD.match(text, i, partial=True)
            if found and found.partial and not final:
                return NEED_MORE
            levels = self._levels(text, i, found)
        self._fresh = False
        self._take(char)
        for _ in range(levels):
            self._pop()
        return i + 1

    def _levels(self, text: str, i: int, found: Any) -> int:
        run = "".join(text[i : end_of(_RUN, text, i)].split())
        follow: Follow = "any"
        if found is None:
            follow = "any"
        elif found.partial or found["end"]:
            follow = "end"
        else:
            follow = "value" if found["value"] else "key"
        return levels_closed("".join(self._stack), run, follow)

    def _pop(self) -> None:
        self._no_value()
        self._write("}" if self._stack.pop() == "{" else "]")
        self._filled.pop()
        self._keys.pop()
        self._state = "next"
        if not self._stack:
            self.ended = True
            self._finish()

    # Strings.

    def _open_quote(self, text: str, i: int, final: bool) -> int:
        char = text[i]
        in_object = self._stack[-1] == "{"
        if in_object and self._state in ("key", "next"):
            self._take(char)
            self._enter_string(char, "key")
            self._word = []
            self._begin()
            i += 1
        else:
            opener = text[i : i + 3]
            if opener in ('"', '""') and i + len(opener) == len(text) and not final:
                return NEED_MORE
            opener = opener if opener == TRIPLE else char
            self._take(opener)
            self._enter_value_string(opener)
            i += len(opener)
        self._fresh = False
        self._write('"')
        return i

    def _enter_value_string(self, opener: str) -> None:
        wanted = self._wants_word()
        self._enter_string(opener, "word" if wanted else self._role_of_value())
        self._word = [] if wanted else None
        self._begin_value()

    def _role_of_value(self) -> Role:
        if self._stack[-1] == "[":
            return "element"
        shown = len(self._stack) == 1 and self._keys[0] in CONTENT
        return "content" if shown else "member"

    def _close_string(self, source: str) -> None:
        word = "".join(self._word or ())
        # The quote that ends the key begins its value: the key's own was left out.
        lost = self._role == "key" and self._letter_follows and word[1:].endswith(":")
        if lost:
            word = word[:-1]
            self._drop_colon()
        self._write('"')
        self._take(source)
        self._word = None
        if self._role == "key":
            self._end_key(word)
        else:
            self._state = "next"
            self._string_read(word)
        if lost:
            self._enter_value_string(source)
            self._write('"')

    def _drop_colon(self) -> None:
        """Takes back the colon that was written last."""

    def _end_key(self, word: str) -> None:
        self._write(":")
        self._keys[-1] = word.strip().lower()
        self._state = "colon"
        self._key_read(word)

    # Bare words.

    def _word_met(self, text: str, i: int, final: bool) -> int:
        if self._stack[-1] == "[" or self._state in ("value", "colon"):
            if self._role_of_value() == "content":
                literal = ahead(BARE_LITERAL, text, i, final)
                if literal is None:
                    return NEED_MORE
                if not literal:
                    return self._lost_opener(i)
            self._fresh = False
            self._scalar = []
            return i
        return self._bare_key(text, i, final)

    def _lost_opener(self, i: int) -> int:
        """Words of a text that no quote begins."""
        self._odd()
        if not self.ended:
            self._enter_value_string('"')
            self._write('"')
        return i

    def _bare_key(self, text: str, i: int, final: bool) -> int:
        key = end_of(_BARE_KEY, text, i)
        if key == i:  # a character that begins nothing
            self._odd()
            if not self.ended:
                self._take(text[i])
            return i + (not self.ended)
        if key == len(text) and not final and key - i < MAX_BARE_KEY:
            return NEED_MORE
        ends = ahead(KEY_ENDS, text, key, final)
        if ends is None:
            return NEED_MORE
        if not ends:
            self._odd()
            if self.ended:
                return i
        self._fresh = False
        if ends:
            self._begin()
            self._write(_quoted(text[i:key]))
            self._end_key(text[i:key])
            key += len(KEY_ENDS.match(text, key)["quote"])
        self._take(text[i:key])
        return key

    def _bare(self, text: str, i: int, final: bool) -> int:
        """A bare scalar; it may be cut, and is looked at when the next thing begins."""
        assert self._scalar is not None  # noqa: S101 - the caller looked
        j = end_of(_SCALAR, text, i)
        if j > i:
            self._scalar.append(text[i:j])
            self._take(text[i:j])
            return j
        goes_on = self._scalar_goes_on(text, i, final)
        if goes_on is None:
            return NEED_MORE
        if goes_on:
            self._scalar.append(text[i])
            self._take(text[i])
            return i + 1
        if text[i] == '"' and self._lost_quote(text, i):
            self._take('"')
            self._end_scalar(string=True)
            return i + 1
        self._end_scalar()
        return i

    def _scalar_goes_on(self, text: str, i: int, final: bool) -> bool | None:
        """Whether what stands at `i` is still of the bare word; None: more text is needed."""
        in_object = self._stack[-1] == "{"
        match text[i]:
            case "," if in_object and text.startswith(',"', i):
                return False
            case "," if in_object:
                more = ahead(NEXT_MEMBER, text, i, final)
                if more is False and final and not text[i + 1 :].strip():
                    return False
                return None if more is None else not more
            case "/":
                if i + 1 == len(text):
                    return None if not final else True
                url = self._scalar and self._scalar[-1].endswith(":")
                return bool(url) or text[i + 1] not in "/*"
            case '"' | "“" if in_object:
                return None if ahead(KEY_AHEAD, text, i, final) is None else False
            case _:
                return False

    def _lost_quote(self, text: str, i: int) -> bool:
        """Whether a quote ends a word that no quote began."""
        json = mend_scalar("".join(self._scalar or ())) or ""
        if not json.startswith('"'):
            return False
        return self._stack[-1] == "[" or not ahead(KEY_AHEAD, text, i, True)

    def _end_scalar(self, string: bool = False) -> None:
        word = "".join(self._scalar or ())
        self._scalar = None
        json = _quoted(word.strip()) if string else mend_scalar(word)
        if json is None and self._stack[-1] == "[":  # left out with three dots
            self._state = "next"
            return
        wanted = self._wants_word()
        self._begin_value()
        self._write(json or "null")
        if wanted and json and json[0] == '"':
            self._string_read(word.strip())
        else:
            self._value_read(json or "null")


def _quoted(word: str) -> str:
    return orjson.dumps(word).decode()
