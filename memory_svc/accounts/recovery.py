"""Ways back into an account, and proof of its address: by codes that are sent by mail.

Nothing here is offered without a mailer. Whether an address has an account is not told: the
answer is the same, and the work is done afterwards.
"""

import secrets
from functools import partial
from typing import Final
from uuid import UUID

from memory_svc.accounts.attempts import Attempts
from memory_svc.accounts.passwords import Passwords, check_password
from memory_svc.crypto.refresh_tokens import hashed
from memory_svc.mail.delivery import Mail
from memory_svc.mail.queue import Outbox
from memory_svc.store.accounts import codes, sign_ins, users
from memory_svc.store.accounts.codes import Purpose
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

MAILS_PER_HOUR: Final = 5
"""To one address: nobody's mailbox is to be flooded by who knows its name."""

RESET_MINUTES: Final = 30
VERIFY_MINUTES: Final = 24 * 60

_SUBJECTS: Final[dict[Purpose, str]] = {
    "reset": "Your code for a new password",
    "verify": "Please confirm your e-mail address",
}
_TEXTS: Final[dict[Purpose, str]] = {
    "reset": (
        "Somebody, you most likely, asked for a new password for the Switchboard account of this"
        " address.\n\nEnter this code in the app to choose one:\n\n    {code}\n\nIt holds for 30"
        " minutes, and once. If it was not you, do nothing: your password stays as it is.\n"
    ),
    "verify": (
        "This address was given for a Switchboard account.\n\nEnter this code in the app to"
        " confirm that it is yours:\n\n    {code}\n\nIt holds for 24 hours, and once. If it was"
        " not you, do nothing.\n"
    ),
}


class Recovery:
    """Resets of passwords and verification of addresses; `outbox`: None where there is no
    mailer, and nothing is offered."""

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        guesses: Attempts,
        outbox: Outbox | None,
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._guesses = guesses
        self._outbox = outbox
        self._mails = Attempts(db, "mail", MAILS_PER_HOUR)

    @property
    def offered(self) -> bool:
        """Whether mail can be sent."""
        return self._outbox is not None

    async def ask_reset(self, email: str) -> None:
        """Sends a code to the address, where there is an account of it.

        Raises NOT_FOUND where this is not offered, RATE_LIMITED for an address that was asked
        for too often.
        """
        address = users.normal(email)
        outbox = self._offered()
        await self._mails.spend(address)

        async def write() -> Mail | None:
            async with self._db.connection() as db:
                login = await users.by_email(db, address)
            return await self._coded("reset", login.user_id, address) if login else None

        outbox.put(write)

    async def reset(self, code: str, password: str) -> tuple[UUID, list[UUID]]:
        """Sets a new password, and ends all sign-ins; returns the user and those.

        Raises FORBIDDEN where the code does not hold.
        """
        self._offered()
        check_password(password)
        new = await self._passwords.hash(password)
        async with self._db.transaction() as db:
            user_id = await codes.take(db, "reset", hashed(code))
            if user_id is None:
                raise _no_code()
            # Whoever has the code reads the mailbox: that is all that verifying asks for.
            await users.reset_password(db, user_id, new)
            login = await users.by_id(db, user_id)
            ended = await sign_ins.end(db, user_id)
        if login:
            await self._guesses.forget(login.email)
        return user_id, ended

    async def ask_verification(self, user_id: UUID) -> None:
        """Sends a code to the user's address. Raises CONFLICT where it is verified already."""
        outbox = self._offered()
        async with self._db.connection() as db:
            login = await users.by_id(db, user_id)
        if login is None:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.")
        if login.verified_at is not None:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_CONFLICT, "This address is verified already."
            )
        await self._mails.spend(login.email)
        outbox.put(partial(self._coded, "verify", user_id, login.email))

    async def welcome(self, user_id: UUID, address: str) -> None:
        """Sends a new account its first code, where there is a mailer; never raises for it."""
        if self._outbox is not None:
            try:
                await self._mails.spend(address)
                self._outbox.put(partial(self._coded, "verify", user_id, address))
            except SwitchboardError:
                return  # the user may ask for it

    async def verify(self, code: str) -> UUID:
        """Marks an address as verified. Raises FORBIDDEN where the code does not hold."""
        self._offered()
        async with self._db.transaction() as db:
            user_id = await codes.take(db, "verify", hashed(code))
            if user_id is None:
                raise _no_code()
            await users.set_verified(db, user_id)
        return user_id

    def _offered(self) -> Outbox:
        if self._outbox is None:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "This server sends no mail.")
        return self._outbox

    async def _coded(self, purpose: Purpose, user_id: UUID, address: str) -> Mail:
        code = secrets.token_urlsafe(24)
        minutes = RESET_MINUTES if purpose == "reset" else VERIFY_MINUTES
        async with self._db.connection() as db:
            await codes.issue(db, user_id, purpose, hashed(code), minutes)
        text = _TEXTS[purpose].format(code=code)
        return Mail(address, purpose, code, _SUBJECTS[purpose], text)


def _no_code() -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_FORBIDDEN, "This code does not hold any more.")
