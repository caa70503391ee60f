"""Accounts: passwords, sessions, and the key that each user's memory is under."""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final, assert_never
from uuid import UUID, uuid4

from cryptography.fernet import Fernet

from memory_svc.crypto import MasterKeys
from memory_svc.passwords import Passwords
from memory_svc.store import sessions, users
from memory_svc.store.database import Connection, Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

GRACE: Final = timedelta(seconds=30)
"""How long a used refresh token is still taken: the answer to its first use may be lost on
the way. Later it can only be a copy. PROTOCOL §7."""

_ADDRESS: Final = re.compile(r"[^\s@\x00-\x20]{1,64}@[^\s@\x00-\x20]{1,189}")
_WRONG: Final = "The e-mail address or the password is wrong."
_NO_SESSION: Final = "This sign-in is over. Please sign in again."


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user. `family_id` names the sign-in, `refresh_token` renews it once."""

    user_id: UUID
    family_id: UUID
    refresh_token: str


class Step(Enum):
    """What becomes of a refresh token that is shown."""

    RENEW = auto()
    REVOKE = auto()
    REFUSE = auto()


def judge(token: sessions.Token) -> Step:
    """What becomes of this token. Pure."""
    if token.revoked_at is not None or token.expires_at <= token.now:
        return Step.REFUSE
    if token.used_at is not None and token.now - token.used_at > GRACE:
        return Step.REVOKE
    return Step.RENEW


class Accounts:
    """Registers, signs in and out, and deletes. `erase` takes all that is a user's away."""

    def __init__(
        self,
        db: Database,
        masters: MasterKeys,
        passwords: Passwords,
        erase: Callable[[UUID], Awaitable[None]],
        days: int = 30,
    ) -> None:
        self._db = db
        self._masters = masters
        self._passwords = passwords
        self._erase = erase
        self._days = days

    async def register(self, email: str, password: str) -> Session:
        """Makes an account and the user's key. Raises CONFLICT where the address is taken."""
        address = _address(email)
        _check_password(password)
        hashed = await self._passwords.hash(password)
        user_id = uuid4()
        wrapped = self._masters.wrap(user_id, Fernet.generate_key())
        async with self._db.transaction() as db:
            new = await users.insert(
                db,
                user_id,
                email=address,
                password_hash=hashed,
                wrapped=wrapped,
                master_id=self._masters.current_id,
            )
            if not new:
                raise SwitchboardError(
                    ErrorCode.ERROR_CODE_CONFLICT, "There is an account with this address already."
                )
            return await self._open(db, user_id)

    async def authenticate(self, email: str, password: str) -> Session:
        """Signs in. Raises UNAUTHENTICATED, after the same time for unknown addresses."""
        async with self._db.connection() as db:
            # No address holds a space; a NUL is no text to Postgres.
            login = await users.by_email(db, email.strip().lower().replace("\0", " "))
        right = await self._passwords.check(login.password_hash if login else None, password)
        if login is None or not right:
            raise _unauthenticated(_WRONG)
        renewed = ""
        if self._passwords.outdated(login.password_hash):
            renewed = await self._passwords.hash(password)
        async with self._db.transaction() as db:
            if not await users.hold(db, login.user_id):
                raise _unauthenticated(_WRONG)
            session = await self._open(db, login.user_id)
        if renewed:
            async with self._db.connection() as db:
                await users.set_password_hash(db, login.user_id, renewed)
        return session

    async def refresh(self, refresh_token: str) -> Session:
        """Changes a refresh token for the next. Raises UNAUTHENTICATED."""
        used = _hash(refresh_token)
        async with self._db.transaction() as db:
            token = await sessions.lock(db, used)
            step = judge(token) if token else Step.REFUSE
            if token:
                match step:
                    case Step.RENEW:
                        fresh = secrets.token_urlsafe(32)
                        await sessions.renew(db, token.family_id, used, _hash(fresh), self._days)
                        return Session(token.user_id, token.family_id, fresh)
                    case Step.REVOKE:
                        await sessions.revoke(db, token.family_id)
                    case Step.REFUSE:
                        pass
                    case never:
                        assert_never(never)
        raise _unauthenticated(_NO_SESSION)

    async def revoke(self, refresh_token: str) -> Session | None:
        """Ends the sign-in that the token belongs to; None where there is none."""
        async with self._db.transaction() as db:
            token = await sessions.lock(db, _hash(refresh_token))
            if token is None:
                return None
            await sessions.revoke(db, token.family_id)
        return Session(token.user_id, token.family_id, "")

    async def delete(self, user_id: UUID, password: str, *, check_only: bool = False) -> None:
        """Erases the account. Raises UNAUTHENTICATED where the password is wrong."""
        async with self._db.connection() as db:
            login = await users.by_id(db, user_id)
        right = await self._passwords.check(login.password_hash if login else None, password)
        if not right:
            raise _unauthenticated("The password is wrong.")
        if not check_only:
            await self._erase(user_id)

    async def _open(self, db: Connection, user_id: UUID) -> Session:
        session = Session(user_id, uuid4(), secrets.token_urlsafe(32))
        token = _hash(session.refresh_token)
        await sessions.open_family(db, user_id, session.family_id, token, self._days)
        return session


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _address(email: str) -> str:
    address = email.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, "This is no e-mail address.")
    return address


def _check_password(password: str) -> None:
    if not 8 <= len(password) <= 256:
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_INVALID_FRAME, "A password has 8 to 256 characters."
        )


def _unauthenticated(message: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, message)
