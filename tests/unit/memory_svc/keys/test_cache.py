"""The cache of keys: bounded in number and time, and it forgets when told."""

import asyncio
from uuid import UUID

from cryptography.fernet import Fernet

from memory_svc.crypto.envelope import Keys, UserKeys
from memory_svc.keys.cache import KeyCache


class Source:
    def __init__(self) -> None:
        self.loads: list[UUID] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 0.0

    async def load(self, user: UUID) -> Keys:
        self.loads.append(user)
        await self.gate.wait()
        return UserKeys(user, Fernet.generate_key())

    def cache(self, limit: int = 2) -> KeyCache:
        return KeyCache(self.load, limit=limit, lifetime_s=10, clock=lambda: self.now)


ANN, BOB, EVE = (UUID(int=number) for number in (1, 2, 3))


async def test_a_key_is_loaded_once_and_again_after_its_time() -> None:
    source = Source()
    cache = source.cache()
    assert await cache.get(ANN) is await cache.get(ANN)
    source.now = 11
    await cache.get(ANN)
    assert source.loads == [ANN, ANN]


async def test_the_one_not_used_the_longest_goes_first() -> None:
    source = Source()
    cache = source.cache()
    for user in (ANN, BOB, ANN, EVE):
        await cache.get(user)
    assert (ANN in cache, BOB in cache, EVE in cache) == (True, False, True)


async def test_what_is_old_is_swept_out() -> None:
    source = Source()
    cache = source.cache()
    await cache.get(ANN)
    source.now = 5
    await cache.get(BOB)
    source.now = 11
    cache.sweep()
    assert (ANN in cache, BOB in cache) == (False, True)


async def test_a_key_on_its_way_is_not_kept_when_its_user_was_forgotten() -> None:
    source = Source()
    cache = source.cache()
    source.gate.clear()
    loading = asyncio.create_task(cache.get(ANN))
    while not source.loads:
        await asyncio.sleep(0)
    cache.forget(ANN)
    source.gate.set()
    await loading
    assert len(cache) == 0


async def test_all_are_forgotten_at_once() -> None:
    cache = Source().cache()
    await cache.get(ANN)
    cache.forget(None)
    assert len(cache) == 0
