"""Finds out what an object is: a block of a known type, an answer in another dress, or none.

`type` may be its last key, so a probe keeps what it read: 256 KiB at most. Then the object is read
once more from its start, by who it is for; what is none of ours goes on as text, as it is written.
Pure: text in, a verdict out.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from formatter_svc.json_object import kind_of
from formatter_svc.lookahead import DATA_TYPES, TEXT_TYPES
from formatter_svc.reader import CONTENT, MAX_BYTES, Reader
from formatter_svc.strings import Role, size_of

# An object without a type is an answer if one of these is all that it has.
SOLE: Final = CONTENT
# A bare word that is longer is none that a model writes for a value.
MAX_BARE: Final = 64
# So is a key that is longer, or that goes over lines.
MAX_KEY: Final = 256

# A block; an answer, whatever its dress; none of ours; a block that broke off before it had a type.
Verdict = Literal["data", "text", "prose", "cut"]


class Probe(Reader):
    """Finds out what an object is; `verdict` says it, and `raw` what was read for it.

    `sole`: whether it may be an answer without a type. `nested`: whether it stands for (a part of)
    a text's content, where an object that says something is a text whatever its type.
    """

    def __init__(self, kinds: Collection[str], sole: bool = True, nested: bool = False) -> None:
        super().__init__()
        self.kind = ""  # the known type
        self._kinds = kinds
        self.verdict: Verdict | None = None
        self.raw: list[str] = []
        self._sole = sole
        self._nested = nested
        self._seen: list[str] = []  # the object's keys
        self._key_size = 0  # of the key at hand
        self._at_end = False
        self._scalar_only = False  # its one member is no text and no container

    @property
    def paused(self) -> bool:  # type: ignore[override]
        """It is known what the object is."""
        return self.verdict is not None

    def give_up(self) -> None:
        """Ends it where the answer ends."""
        self._at_end = True
        self._settle(closed=self.complete)

    def _cut(self) -> None:
        self._settle(closed=self.complete)

    def _finish(self) -> None:
        self._settle(closed=True)

    def _settle(self, closed: bool) -> None:
        self.ended = True
        self.verdict = self.verdict or self._last_verdict(closed)

    def _last_verdict(self, closed: bool) -> Verdict:
        said = set(self._seen) & SOLE
        if self._nested and said:
            return "text"
        if not closed and self._broke_off():
            return "cut"
        one = len(self._seen) == 1 and said and not self._scalar_only
        inside = bool(self._opener) and self._role == "content"
        return "text" if one and self._sole and (closed or inside) else "prose"

    def _broke_off(self) -> bool:
        """Whether it ends within its type, which may have been one of ours."""
        if not self._at_end or self._seen != ["type"]:
            return False
        if self._state == "next" and not self._opener:
            return False
        word = "".join(self._word or ()).lower()
        return any(known.startswith(word) for known in (*DATA_TYPES, *TEXT_TYPES))

    def _take(self, source: str) -> None:
        self.size += size_of(source)
        self.raw.append(source)
        if self.size > MAX_BYTES and self.verdict is None:
            inside = bool(self._opener) and self._role == "content"
            self.verdict = "text" if inside and set(self._seen) <= SOLE else "prose"

    def _piece(self, source: str, decoded: str, json: str | None = None) -> None:
        super()._piece(source, decoded, json)
        if self._role == "key" and self._word is not None:
            self._key_size += len(decoded)
            if self._key_size > MAX_KEY or source == "\n":
                self._odd()

    def _enter_string(self, opener: str, role: Role) -> None:
        super()._enter_string(opener, role)
        self._key_size = 0

    def _deep(self) -> None:
        self.verdict = self.verdict or "prose"

    def _odd(self) -> None:
        self._settle(closed=False)

    def _wants_word(self) -> bool:
        return self._keys[-1] == "type" and self._may_hold_blocks()

    def _may_hold_blocks(self) -> bool:
        """Whether all containers around the object at hand are what an answer may be wrapped in."""
        return all(
            kind == "[" or key in SOLE
            for kind, key in zip(self._stack[:-1], self._keys[:-1], strict=True)
        )

    def _takes_blocks(self) -> bool:
        return self._may_hold_blocks() and (self._stack[-1] == "[" or self._keys[-1] in SOLE)

    def _key_read(self, word: str) -> None:
        if len(self._stack) == 1:
            self._seen.append(self._keys[0])

    def _value_read(self, json: str) -> None:
        self._scalar_only = len(self._stack) == 1
        if json[0] == '"' and (len(json) > MAX_BARE or set(json) & set(" ;=()")):
            self._odd()

    def _string_read(self, word: str) -> None:
        if not word or self._keys[-1] != "type":
            return
        kind = kind_of(word, self._kinds)
        if len(self._stack) == 1:
            self.kind = self.kind or kind or ""
            if kind is None:
                self.verdict = self.verdict or (None if self._nested else "prose")
            else:
                self.verdict = self.verdict or ("text" if kind == "text" else "data")
        elif kind and len(self._seen) == 1:
            self.verdict = self.verdict or "text"
