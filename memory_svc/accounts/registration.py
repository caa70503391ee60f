"""Who may register: anybody, who was invited, or nobody."""

import secrets
from typing import Final

from memory_svc.crypto.refresh_tokens import hashed
from memory_svc.settings import Registration
from memory_svc.store.accounts import codes
from memory_svc.store.database import Connection, Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

INVITATION_DAYS: Final = 14


class Doors:
    """Registration as the operator wants it."""

    def __init__(self, registration: Registration) -> None:
        self.registration: Final = registration

    def check(self, invitation: str) -> None:
        """Raises FORBIDDEN where there is no way in, before any work is done for it."""
        if self.registration == "closed":
            raise _forbidden("Registration is closed.")
        if self.registration == "invitation" and not invitation:
            raise _forbidden("Registration needs an invitation.")

    async def enter(self, db: Connection, invitation: str) -> None:
        """Uses the invitation up, where one is needed, with the transaction that registers."""
        if self.registration != "invitation":
            return
        if not await codes.take_invitation(db, hashed(invitation)):
            raise _forbidden("This invitation does not hold any more.")


async def invite(db: Database) -> str:
    """A new invitation, for one account."""
    code = secrets.token_urlsafe(24)
    async with db.connection() as connection:
        await codes.invite(connection, hashed(code), INVITATION_DAYS)
    return code


def _forbidden(message: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_FORBIDDEN, message)
