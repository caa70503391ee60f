"""JSON of a bounded length, for models: what is too long is cut where it costs least.

First the texts in it are cut, the longest first, and marked with how much is left out; whole
items go only after. `notice` and `omitted` say so. A text with such a mark is never written back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

MAX_RESULT_CHARS: Final = 60_000
"""What the model reads of one result. A device may send a frame of 1 MiB, which no model takes."""

SHORTEST_CHARS: Final = 200
"""No text is cut to less than this: below it whole items go instead."""

_CUT: Final = "Long texts are cut here, as marked: do not write them back from this."
_MARK: Final = re.compile(r"… \[\d+ more characters\]")


_ACTIVE: Final = re.compile("<(?=[|｜])|[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What ends a line for some readers, and what models' own marks begin with (`<|im_end|>`), which
some servers take for marks wherever they stand; and half a surrogate pair, which has no UTF-8."""


def dumped(value: Any) -> str:
    """A value as JSON text of one line, that cannot be taken for more than a value."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # a number past 64 bits, or half a surrogate pair
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def notice(*sentences: str) -> dict[str, Any]:
    """What a reader must know, as a part of a result; nothing where all sentences are empty."""
    told_ = " ".join(filter(None, sentences))
    return {"notice": told_} if told_ else {}


def fitted(value: Any, most: int = MAX_RESULT_CHARS) -> str:
    """A value as JSON of at most `most` characters, which must be a few hundred at least.

    What had to go is told: in a text that was cut, and, for items, under `omitted`.
    """
    text = dumped(value)
    if len(text) <= most:
        return text
    if isinstance(value, dict):
        value = value | notice(str(value.get("notice") or ""), _CUT)
    short = _with_texts_of(value, _level(value, most))
    text = dumped(short)
    if len(text) <= most:
        return text
    return _fewer(short, most) or start_of(dumped(value), most)


def _level(value: Any, most: int) -> int:
    """The most characters that each text may have for the whole to fit: cutting to one level
    takes from the longest first. SHORTEST_CHARS where even that does not suffice."""
    long = [text for text in _texts(value) if len(text) > SHORTEST_CHARS]
    others = len(dumped(value)) - sum(len(dumped(text)) for text in long)

    def fits(level: int) -> bool:
        return others + sum(len(dumped(_cut(text, level))) for text in long) <= most

    return _largest(fits, SHORTEST_CHARS, most)


def _largest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number from `low` up to `high` that fits; `low` where none does."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            for one in value.values():
                yield from _texts(one)


def _with_texts_of(value: Any, level: int) -> Any:
    match value:
        case str():
            return _cut(value, level)
        case list():
            return [_with_texts_of(one, level) for one in value]
        case dict():
            return {key: _with_texts_of(one, level) for key, one in value.items()}
    return value


def _cut(text: str, level: int) -> str:
    mark = f"… [{len(text) - level} more characters]"
    return text if len(text) <= level + len(mark) else text[:level] + mark


def _fewer(value: Any, most: int) -> str | None:
    """The same with as many of its first items as fit; None where not even one does."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        return None
    # The cursor would lead past the items that go.
    others = {key: one for key, one in value.items() if key not in ("items", "next_cursor")}
    said = str(others.pop("notice", ""))

    def of(count: int) -> str:
        left = len(items) - count
        more = f"{left} more items were too long to show: ask for fewer with limit, or narrow it."
        return dumped({"items": items[:count], **others, "omitted": left} | notice(said, more))

    kept = _largest(lambda count: len(of(count)) <= most, 0, len(items) - 1)
    return of(kept) if kept else None


def start_of(text: str, most: int = MAX_RESULT_CHARS) -> str:
    """The beginning of what is no object with items, or no JSON at all, in a text."""

    def of(count: int) -> str:
        return dumped({"shortened": len(text) > count, "text": text[:count]})

    return of(_largest(lambda count: len(of(count)) <= most, 0, min(len(text), most)))


def was_cut(value: Any) -> bool:
    """Whether a text in a value carries the mark of one that was cut."""
    return any(_MARK.search(text) for text in _texts(value))
