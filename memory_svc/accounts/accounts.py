"""Accounts: passwords, and the key that each user's memory is under."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

from cryptography.fernet import Fernet

from memory_svc.accounts.attempts import Attempts
from memory_svc.accounts.passwords import Passwords, check_password
from memory_svc.accounts.recovery import Recovery
from memory_svc.accounts.registration import Doors
from memory_svc.accounts.sign_ins import Session, SignIns
from memory_svc.crypto.envelope import Keys, MasterKeys, UserKeys
from memory_svc.keys.cache import KeyCache
from memory_svc.store.accounts import sign_ins as sessions
from memory_svc.store.accounts import users
from memory_svc.store.accounts.users import Login
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_ADDRESS: Final = re.compile(r"[^\s@\x00-\x20]{1,64}@[^\s@\x00-\x20]{1,189}")
_WRONG: Final = "The e-mail address or the password is wrong."


class Accounts:
    """Registers, signs in, changes passwords and deletes. `erase` takes all that is a user's
    away; `guesses` bounds how often a password may be tried."""

    def __init__(
        self,
        db: Database,
        *,
        masters: MasterKeys,
        keys: KeyCache,
        passwords: Passwords,
        sign_ins: SignIns,
        guesses: Attempts,
        doors: Doors,
        recovery: Recovery,
        erase: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._db = db
        self._masters = masters
        self._keys = keys
        self._passwords = passwords
        self._sign_ins = sign_ins
        self._guesses = guesses
        self._doors = doors
        self._recovery = recovery
        self._erase = erase

    async def register(
        self, email: str, password: str, device_name: str = "", invitation: str = ""
    ) -> Session:
        """Makes an account and the user's key. Raises CONFLICT where the address is taken,
        FORBIDDEN where registration is closed to who asks."""
        address = _address(email)
        check_password(password)
        self._doors.check(invitation)
        hashed = await self._passwords.hash(password)
        user_id, key = uuid4(), Fernet.generate_key()
        async with self._db.transaction() as db:
            await self._doors.enter(db, invitation)
            new = await users.insert(
                db,
                user_id,
                email=address,
                password_hash=hashed,
                wrapped=self._masters.wrap(user_id, key),
                master_id=self._masters.current_id,
            )
            if not new:
                raise SwitchboardError(
                    ErrorCode.ERROR_CODE_CONFLICT, "There is an account with this address already."
                )
            keys = UserKeys(user_id, key)
            session = await self._sign_ins.open(db, user_id, keys, device_name)
        await self._recovery.welcome(user_id, address)
        return session

    async def authenticate(self, email: str, password: str, device_name: str = "") -> Session:
        """Signs in. Raises UNAUTHENTICATED, after the same time for unknown addresses."""
        login = await self._prove(users.normal(email), password, _WRONG)
        if self._passwords.outdated(login.password_hash):
            login = await self._rehashed(login, password)
        keys = await self._keys_of(login.user_id)
        async with self._db.transaction() as db:
            # A password that is changed right now must not leave a sign-in behind.
            if not await users.hold_login(db, login):
                raise _unauthenticated(_WRONG)
            return await self._sign_ins.open(db, login.user_id, keys, device_name)

    async def change_password(
        self, user_id: UUID, family_id: UUID | None, password: str, new: str
    ) -> list[UUID]:
        """Changes the password, and ends every sign-in but the one that asks; returns those.

        Raises UNAUTHENTICATED where the password is wrong.
        """
        check_password(new)
        login = await self._prove_user(user_id, password)
        hashed = await self._passwords.hash(new)
        async with self._db.transaction() as db:
            if not await users.set_password_hash(db, login, hashed):
                raise _unauthenticated("The password is wrong.")
            return await sessions.end(db, user_id, keep=family_id)

    async def get(self, user_id: UUID) -> Login:
        """What is kept of the account. Raises NOT_FOUND."""
        async with self._db.connection() as db:
            login = await users.by_id(db, user_id)
        if login is None:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.")
        return login

    async def delete(self, user_id: UUID, password: str, *, check_only: bool = False) -> None:
        """Erases the account. Raises UNAUTHENTICATED where the password is wrong."""
        await self._prove_user(user_id, password)
        if not check_only:
            await self._erase(user_id)

    async def _prove_user(self, user_id: UUID, password: str) -> Login:
        async with self._db.connection() as db:
            login = await users.by_id(db, user_id)
        return await self._prove(login.email if login else "", password, "The password is wrong.")

    async def _prove(self, address: str, password: str, wrong: str) -> Login:
        """The account, once the password has been checked. Counted before, so that many at
        once are no more than the limit; what was right is taken off again."""
        await self._guesses.spend(address)
        async with self._db.connection() as db:
            login = await users.by_email(db, address)
        try:
            right = await self._passwords.check(login.password_hash if login else None, password)
        except SwitchboardError:  # too many wait: nothing was tried
            await self._guesses.give_back(address)
            raise
        if login is None or not right:
            raise _unauthenticated(wrong)
        await self._guesses.give_back(address)
        return login

    async def _rehashed(self, login: Login, password: str) -> Login:
        """The login with a hash of today's cost."""
        hashed = await self._passwords.hash(password)
        async with self._db.connection() as db:
            done = await users.set_password_hash(db, login, hashed)
        if done:
            return replace(login, password_hash=hashed)
        return await self._prove(login.email, password, _WRONG)  # changed meanwhile: as it is now

    async def _keys_of(self, user_id: UUID) -> Keys | None:
        """The user's keys; None where they do not open: signing in must work without."""
        try:
            return await self._keys.get(user_id)
        except SwitchboardError:
            return None


def _address(email: str) -> str:
    address = email.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, "This is no e-mail address.")
    return address


def _unauthenticated(message: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, message)
