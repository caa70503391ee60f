"""Keys and ciphertexts. Pure.

A user's Fernet key is wrapped by a master key. Fernet has no associated data, so what a
token is for stands in its plaintext: a wrapped key names its user, and a text begins with
a header (user, table, row, column, revision) that must be the expected one to the byte. A
token that was moved opens nowhere else.
"""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from memory_svc.crypto.embedding_rotation import Rotation, Vector

log = logging.getLogger(__name__)

_VERSION: Final = "switchboard-1"


class IntegrityError(Exception):
    """A ciphertext is not what its place says: damaged, moved, or under another key."""


class WrongMasterKeyError(Exception):
    """No master key at hand opens a user's key."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext stands; `revision` is its row's, counted up by each change."""

    table: str
    row: UUID
    column: str
    revision: int


class MasterKeys:
    """The keys that wrap the users' keys, newest first: the first wraps, all unwrap."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._first = Fernet(keys[0])
        self._all = MultiFernet([Fernet(key) for key in keys])
        self._ids = [name_of_master(key) for key in keys]

    @property
    def current_id(self) -> str:
        """Names the first key, and tells nothing of it."""
        return self._ids[0]

    def knows(self, key_id: str) -> bool:
        """Whether the key of that name is at hand."""
        return key_id in self._ids

    def wrap(self, user_id: UUID, key: bytes) -> str:
        """Wraps a user's key for that user."""
        return self._first.encrypt(_bound(user_id) + key).decode()

    def unwrap(self, user_id: UUID, wrapped: str) -> bytes:
        """Opens a user's key.

        Raises WrongMasterKeyError, or IntegrityError where it is another user's.
        """
        try:
            plain = self._all.decrypt(wrapped)
        except (InvalidToken, ValueError):
            raise WrongMasterKeyError from None
        head = _bound(user_id)
        if not plain.startswith(head):
            raise IntegrityError("a wrapped key is another user's")
        return plain[len(head) :]


def name_of_master(key: str) -> str:
    """What a master key is called where it must not be told: in rows, in lists."""
    return hashlib.sha256(b"switchboard master key\0" + key.encode()).hexdigest()[:16]


def _bound(user_id: UUID) -> bytes:
    return f"{_VERSION}|user key|{user_id}|".encode()


class Keys(Protocol):
    """What the memory of one user is read and written with."""

    user_id: UUID

    def seal(self, text: str, place: Place) -> str:
        """The text as it is stored at `place`."""

    def open(self, token: str, place: Place) -> str:
        """The text stored at `place`. Raises IntegrityError."""

    def term(self, word: str) -> int:
        """The word as the index knows it: 64 bits, signed."""

    def digest(self, text: str) -> bytes:
        """A text as equal texts are found by."""

    def rotate(self, vector: Vector) -> Vector:
        """The embedding as it is stored and compared."""


def opened(keys: Keys, token: str, place: Place) -> str | None:
    """The text at `place`; None, and a line in the log, where it does not open."""
    try:
        return keys.open(token, place)
    except IntegrityError as error:
        log.error("%s of row %s in %s left out: %s", place.column, place.row, place.table, error)
        return None


class UserKeys:
    """The real `Keys`: everything derives from the user's Fernet key."""

    def __init__(self, user_id: UUID, key: bytes) -> None:
        self.user_id = user_id
        self._fernet = Fernet(key)
        self._words = derive(key, b"words")
        self._rotation = Rotation(derive(key, b"rotation"))

    def seal(self, text: str, place: Place) -> str:
        """Encrypts, the header first."""
        return self._fernet.encrypt(self._header(place) + text.encode()).decode()

    def open(self, token: str, place: Place) -> str:
        """Decrypts, and checks the header. Raises IntegrityError."""
        try:
            plain = self._fernet.decrypt(token)
        except (InvalidToken, ValueError):
            raise IntegrityError("a ciphertext does not open with its user's key") from None
        head = self._header(place)
        if not plain.startswith(head):
            raise IntegrityError("a ciphertext stands where it does not belong")
        return plain[len(head) :].decode()

    def term(self, word: str) -> int:
        """HMAC-SHA256, cut to 64 bits."""
        return int.from_bytes(hmac.digest(self._words, word.encode(), "sha256")[:8], signed=True)

    def digest(self, text: str) -> bytes:
        """HMAC-SHA256, cut to 128 bits."""
        return hmac.digest(self._words, b"\0" + text.encode(), "sha256")[:16]

    def rotate(self, vector: Vector) -> Vector:
        """The rotation of `memory_svc.rotation`."""
        return self._rotation.apply(vector)

    def _header(self, place: Place) -> bytes:
        return (
            f"{_VERSION}|{self.user_id}|{place.table}|{place.row}|{place.column}|{place.revision}\n"
        ).encode()


def derive(key: bytes, purpose: bytes) -> bytes:
    """A key of 32 bytes for one purpose, made of a random key."""
    return HKDF(SHA256(), 32, salt=None, info=b"switchboard " + purpose).derive(key)
