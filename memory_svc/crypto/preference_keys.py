"""What preferences are called, as it is stored: a keyed hash to find them by, and the words
encrypted. Rows from before keep a readable key until they are sealed. Pure.

A key may say as much as its value (`diagnosis.hiv`), so it is kept like one.
"""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from memory_svc.crypto.envelope import Keys, Place, opened
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

FORM: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")


@dataclass(frozen=True, slots=True)
class Name:
    """A key as it is looked for: `hashed` where the row is sealed, `readable` where it is not."""

    hashed: str
    readable: str

    @classmethod
    def of(cls, keys: Keys, key: str) -> "Name":
        """The name of a key, for one user."""
        # No text of a fact, which digests are made of too, begins like this.
        return cls(keys.digest(f"preference key\n{key}").hex(), key)

    def fits(self, key: str, sealed: str | None) -> bool:
        """Whether a row of these columns is called so."""
        return key == (self.readable if sealed is None else self.hashed)


def check_form(key: str) -> None:
    """Raises INVALID_FRAME for what is no key."""
    if not FORM.fullmatch(key):
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_INVALID_FRAME,
            "A preference's key is up to 64 of a-z, 0-9, _ and ., a letter first.",
        )


def place(row: UUID) -> Place:
    """Where the words stand. They never change, so there is one revision."""
    return Place("memory_core", row, "key_encrypted", 1)


def seal(keys: Keys, row: UUID, key: str) -> str:
    """The words as they are stored in their row."""
    return keys.seal(key, place(row))


def read(keys: Keys, row: UUID, key: str, sealed: str | None) -> str | None:
    """The words of a row's columns; None where they do not open."""
    return key if sealed is None else opened(keys, sealed, place(row))
