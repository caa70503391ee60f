"""The users' keys as this process holds them: few, and not for long."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from memory_svc.crypto.envelope import Keys

Load = Callable[[UUID], Awaitable[Keys]]

LIMIT: Final = 2048
"""Keys at once: some 14 KB each, nearly all of it the rotation."""

LIFETIME_S: Final = 300.0


class KeyCache:
    """Unwrapped keys by user, bounded in number and in time.

    `load` fetches and unwraps one; it raises what the caller is to see.
    """

    def __init__(
        self,
        load: Load,
        *,
        limit: int = LIMIT,
        lifetime_s: float = LIFETIME_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._limit = limit
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._kept: OrderedDict[UUID, tuple[float, Keys]] = OrderedDict()
        # Counts what was forgotten, so that a key loaded just before is not kept after.
        self._forgotten = 0

    async def get(self, user_id: UUID) -> Keys:
        """The user's keys."""
        kept = self._kept.get(user_id)
        if kept and kept[0] > self._clock():
            self._kept.move_to_end(user_id)
            return kept[1]
        forgotten = self._forgotten
        keys = await self._load(user_id)
        if forgotten == self._forgotten:
            self._keep(user_id, keys)
        return keys

    def forget(self, user_id: UUID | None = None) -> None:
        """Drops a user's keys, or (None) all."""
        self._forgotten += 1
        if user_id is None:
            self._kept.clear()
        else:
            self._kept.pop(user_id, None)

    def sweep(self) -> None:
        """Drops what has outlived its time."""
        now = self._clock()
        for user_id in [user for user, (until, _) in self._kept.items() if until <= now]:
            del self._kept[user_id]

    def __contains__(self, user_id: UUID) -> bool:
        return user_id in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def _keep(self, user_id: UUID, keys: Keys) -> None:
        self._kept[user_id] = (self._clock() + self._lifetime_s, keys)
        self._kept.move_to_end(user_id)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
