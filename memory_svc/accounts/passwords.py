"""Argon2id, away from the event loop and a few at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

T = TypeVar("T")

WAITING: Final = 64
"""How many may wait for a worker; with two workers of some 25 ms that is under a second."""

# OWASP's first choice for Argon2id. More memory would bound how many may sign in at once.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class Passwords:
    """Hashes and checks passwords, `workers` at once."""

    def __init__(self, workers: int = 2) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._workers = workers
        self._pending = 0
        # What an unknown user's password is held against, so that it takes as long.
        self._nobody = _HASHER.hash("nobody's")

    async def hash(self, password: str) -> str:
        """The password's hash in PHC form. Raises RATE_LIMITED when too many wait."""
        return await self._run(_HASHER.hash, password)

    async def check(self, hashed: str | None, password: str) -> bool:
        """Whether the password is the one; with None it never is, and takes as long."""
        right = await self._run(_verify, hashed or self._nobody, password)
        return right and hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Whether the hash was made at another cost than today's."""
        return _HASHER.check_needs_rehash(hashed)

    def close(self) -> None:
        """Ends the workers."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *parts: str) -> T:
        if self._pending >= self._workers + WAITING:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_RATE_LIMITED, "Too many are signing in right now.", 1000
            )
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *parts)
        finally:
            self._pending -= 1


def check_password(password: str) -> None:
    """Raises INVALID_FRAME for what cannot be a password."""
    if not 8 <= len(password) <= 256:
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_INVALID_FRAME, "A password has 8 to 256 characters."
        )


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
