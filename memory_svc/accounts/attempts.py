"""How often something may be tried for one e-mail address, or done by one user, wherever from.

An address that nobody has is counted like any other, so that counting tells nothing.
"""

import hashlib
from math import ceil

from memory_svc.store.accounts import attempts as store
from memory_svc.store.database import Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode


class Attempts:
    """So many at once, and so many in each hour from then on; 0: no limit. Counted in the
    database: by all processes together."""

    def __init__(self, db: Database, purpose: str, per_hour: float) -> None:
        self._db = db
        self._purpose = purpose
        self._per_hour = per_hour

    async def spend(self, address: str, cost: float = 1) -> None:
        """Counts an attempt, or so many. Raises RATE_LIMITED, with the time to wait."""
        if not self._per_hour:
            return
        async with self._db.connection() as db:
            wait = await store.spend(db, self._key(address), self._per_hour, cost)
        if wait:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_RATE_LIMITED,
                "Too many attempts for this account. Please try again later.",
                ceil(wait * 1000),
            )

    async def give_back(self, address: str) -> None:
        """The attempt succeeded: it does not count."""
        if self._per_hour:
            async with self._db.connection() as db:
                await store.give_back(db, self._key(address))

    async def forget(self, address: str) -> None:
        """All attempts until now count no more."""
        async with self._db.connection() as db:
            await store.forget(db, self._key(address))

    def _key(self, address: str) -> bytes:
        return hashlib.sha256(f"{self._purpose}\0{address}".encode()).digest()
