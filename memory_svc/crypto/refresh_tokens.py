"""Refresh tokens: used once, and shown again within a moment with the same result. Pure.

At rest a token is a hash, and its successor is sealed under a key that only the token gives:
whoever repeats a refresh whose answer was lost gets what the first one got, and the database
alone opens nothing.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

from cryptography.fernet import Fernet

from memory_svc.crypto.envelope import derive

GRACE: Final = timedelta(seconds=30)
"""How long a used refresh token is still taken: the answer to its first use may be lost on
the way. Later it can only be a copy. PROTOCOL §7."""


@dataclass(frozen=True, slots=True)
class Token:
    """A refresh token as it stands at `now` by the database's clock."""

    user_id: UUID
    family_id: UUID
    used_at: datetime | None
    next_sealed: str | None
    revoked_at: datetime | None
    expires_at: datetime
    now: datetime


class Step(Enum):
    """What becomes of a refresh token that is shown."""

    RENEW = auto()
    REPEAT = auto()
    REVOKE = auto()
    REFUSE = auto()


def judge(token: Token) -> Step:
    """What becomes of this token."""
    if token.revoked_at is not None or token.expires_at <= token.now:
        return Step.REFUSE
    if token.used_at is None:
        return Step.RENEW
    if token.now - token.used_at > GRACE:
        return Step.REVOKE
    # A second successor would be a branch that outlives the first: without the one there is none.
    return Step.REFUSE if token.next_sealed is None else Step.REPEAT


def fresh() -> str:
    """A new token."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> bytes:
    """A token as it is stored. It is random, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()


def seal_next(token: str, following: str) -> str:
    """The successor as it is stored beside the token that it follows."""
    return _sealer(token).encrypt(following.encode()).decode()


def open_next(token: str, sealed: str) -> str:
    """The successor of this token."""
    return _sealer(token).decrypt(sealed).decode()


def _sealer(token: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive(token.encode(), b"successor")))
