"""PURE: which part of a message the user pasted or quoted, and which words are their own.

A device tells it in spans. Without any, Markdown does: fenced code, and lines that begin with `>`.
What a fence holds may close it and go on behind; so where fences do not pair up, all from the
first one on is quoted.

Nothing here knows a language: what is quoted, and what was said, is a matter of place alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from unicodedata import normalize

import regex

from switchboard.v3.frames_pb2 import Quoted

Range: TypeAlias = tuple[int, int]
"""Of a Python string: where it begins, and where it has ended."""

GAP: Final = "[…]"
"""What stands where quoted text was left out."""

# The second sign is what Japanese and Chinese keyboards write. Lines that begin otherwise are
# passed over as a whole: a history may have a hundred thousand.
_MARKED: Final = regex.compile(
    r"(?:\A|(?<=[\r\n]))(?:[^\S\r\n]|\p{Cf})*+"
    r"(?:[>＞][^\r\n]*|(?P<signs>`{3,}|~{3,})(?P<rest>[^\r\n]*))(?:\r\n|\r|\n|\Z)"
)


def units(text: str) -> int:
    """Its length in UTF-16 code units, in which JavaScript counts."""
    return len(text) + sum(sign > "\uffff" for sign in text)


def quotes(message: str, spans: Iterable[Quoted] = ()) -> list[Range]:
    """What is quoted in a message: in order, apart from each other, none empty.

    `spans` as a device told them; what lies past the end is no part of anything, and half a
    character is taken as the whole.
    """
    told = [(span.start, span.end) for span in spans]
    return _joined(_of_units(message, told) if told else _of_markdown(message))


def marked(message: str) -> bool:
    """Whether Markdown may quote something in a message."""
    return _MARKED.search(message) is not None


def own(message: str, spans: Iterable[Quoted] = ()) -> str:
    """The message without what is quoted in it; GAP stands in each such place."""
    kept, at = [], 0
    for start, end in quotes(message, spans):
        kept += [message[at:start], GAP, "\n" if message[end - 1] in "\r\n" else ""]
        at = end
    return "".join([*kept, message[at:]])


def says(own_words: str, text: str) -> bool:
    """Whether a text stands in these words, word for word: case, width, punctuation and white
    space aside, and not reaching over a GAP. False for a text without a word, and for one with
    signs that nobody sees and that are not there, which models read all the same.
    """
    wanted = _words(text)
    if wanted == _NO_WORDS or set(_UNSEEN.findall(text)) - set(own_words):
        return False
    return any(wanted in _words(part) for part in own_words.split(GAP))


# Scripts that part no words: each sign is one of its own, so that a text may begin anywhere.
_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD: Final = regex.compile(rf"(?V1)[{_UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+")
_UNSEEN: Final = regex.compile(r"(?V1)[\p{C}--[\t\r\n]]")
_INVISIBLE: Final = regex.compile(r"\p{Cf}")
_NO_WORDS: Final = "  "


def _words(text: str) -> str:
    """The words, a space before and after each: one text in another is whole words in words."""
    folded = normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    return f" {' '.join(_WORD.findall(folded))} "


def _joined(ranges: Sequence[Range]) -> list[Range]:
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        elif start < end:
            joined.append((start, end))
    return joined


def _of_units(message: str, spans: Sequence[Range]) -> list[Range]:
    place = [at for at, sign in enumerate(message) for _ in range(1 + (sign > "\uffff"))]
    last = len(place)
    return [
        (place[start], place[min(end, last) - 1] + 1)
        for start, end in spans
        if start < min(end, last)
    ]


def _of_markdown(message: str) -> list[Range]:
    found: list[Range] = []
    first: int | None = None  # where the first fence begins
    fence: tuple[int, str] | None = None  # where the open one does, and its signs
    for line in _MARKED.finditer(message):
        signs = line["signs"]
        if fence is None and signs is None:
            found.append(line.span())
        elif fence is None and _opens(line):
            fence, first = (line.start(), signs), line.start() if first is None else first
        elif fence is not None and signs and _closes(fence[1], line):
            found.append((fence[0], line.end()))
            fence = None
    if fence is not None and first is not None:
        found.append((first, len(message)))
    return found


def _opens(line: regex.Match[str]) -> bool:
    # With more of them on its line it is code within a line.
    return "`" not in line["rest"] or line["signs"].startswith("~")


def _closes(opening: str, line: regex.Match[str]) -> bool:
    return line["signs"].startswith(opening) and not line["rest"].strip()
