"""Users with memories, written in bulk; and an embedding that costs nothing."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
from cryptography.fernet import Fernet

from memory_svc.app import App
from memory_svc.crypto.embedding_rotation import DIMENSIONS, Vector
from memory_svc.crypto.envelope import UserKeys
from memory_svc.domain import rank as recall
from memory_svc.domain.episode_detail import Detail
from memory_svc.recall.embed import Embedder
from memory_svc.store.tiers import episodes, facts

_LETTERS = "bcdfghjklmnprstvw"
_VOWELS = "aeiou"


def vocabulary(size: int = 4_000) -> list[str]:
    """Words that look like words; the first are the usual ones."""
    chance = random.Random(7)
    syllables = [a + b for a in _LETTERS for b in _VOWELS]
    return ["".join(chance.choices(syllables, k=3)) for _ in range(size)]


WORDS = vocabulary()
WEIGHTS = [1 / (rank + 3) for rank in range(len(WORDS))]


def sentence(chance: random.Random, length: int = 11) -> str:
    return " ".join(chance.choices(WORDS, WEIGHTS, k=length))


def unit(chance: np.random.Generator, count: int = 1) -> Vector:
    vectors = chance.standard_normal((count, DIMENSIONS), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class Free(Embedder):
    """An embedder whose vectors are random and cost nothing: the bench is about the rest."""

    def __init__(self) -> None:
        self.model = "bench"
        self._pool = unit(np.random.default_rng(1), 64)

    async def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        return [self._pool[hash(text) % 64] for text in texts]

    async def close(self) -> None:
        """Nothing runs in the background."""


@dataclass
class Seeder:
    """Writes users. `rows` associative rows each, and a few exchanges."""

    app: App
    chance: random.Random = field(default_factory=lambda: random.Random(3))
    noise: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))

    async def users(self, count: int, rows: int) -> list[UUID]:
        made: list[UUID] = []
        while len(made) < count:
            batch = [uuid4() for _ in range(min(200, count - len(made)))]
            await self._batch(batch, rows)
            made += batch
        return made

    async def _batch(self, users: list[UUID], rows: int) -> None:
        keys = {user: Fernet.generate_key() for user in users}
        masters = self.app.masters
        records = [
            (user, f"{user}@example.com", "-", masters.wrap(user, key), masters.current_id)
            for user, key in keys.items()
        ]
        async with self.app.db.transaction() as db:
            await db.copy_records_to_table(
                "users",
                records=records,
                columns=["id", "email", "password_hash", "encryption_key", "master_key_id"],
            )
            for user, key in keys.items():
                opened = UserKeys(user, key)
                for start in range(0, rows, 1000):
                    await self._facts(db, opened, min(1000, rows - start))
                if rows:
                    await self._episodes(db, opened, 6)

    async def _facts(self, db: object, keys: UserKeys, count: int) -> None:
        vectors = unit(self.noise, count)
        now = datetime.now(UTC)
        rows, terms = [], []
        for number in range(count):
            row, text = uuid4(), sentence(self.chance)
            hashed = recall.hashed(keys, text)
            length = sum(hashed.values())
            at = now - timedelta(minutes=number)
            content = keys.seal(text, facts.place(row, 1))
            vector = vectors[number]
            rows.append(
                (
                    *(row, keys.user_id, content, vector, "bench", keys.digest(text), length),
                    *(True, 1, at, at),
                )
            )
            terms += [(keys.user_id, 2, term, row, tf, length) for term, tf in hashed.items()]
        columns = "id user_id content_encrypted embedding embed_model digest term_count settled"
        await db.copy_records_to_table(  # type: ignore[attr-defined]
            "memory_associative",
            records=rows,
            columns=[*columns.split(), "revision", "created_at", "updated_at"],
        )
        await self._terms(db, terms)

    async def _episodes(self, db: object, keys: UserKeys, count: int) -> None:
        rows, terms = [], []
        for number in range(count):
            row, text = uuid4(), sentence(self.chance, 20)
            at = datetime.now(UTC) - timedelta(hours=number)
            hashed = recall.hashed(keys, text)
            summary = keys.seal(text, episodes.place(row, 1))
            detail = keys.seal(Detail(text).dump(), episodes.place(row, 1, "detail_encrypted"))
            rows.append((row, keys.user_id, summary, detail, "s", str(row), 1, at))
            length = sum(hashed.values())
            terms += [(keys.user_id, 3, term, row, tf, length) for term, tf in hashed.items()]
        columns = "id user_id summary_encrypted detail_encrypted session_id request_id revision"
        await db.copy_records_to_table(  # type: ignore[attr-defined]
            "memory_episodic", records=rows, columns=[*columns.split(), "created_at"]
        )
        await self._terms(db, terms)

    async def _terms(self, db: object, terms: Sequence[tuple[object, ...]]) -> None:
        columns = ["user_id", "tier", "term", "item_id", "tf", "length"]
        await db.copy_records_to_table(  # type: ignore[attr-defined]
            "memory_terms", records=terms, columns=columns
        )
