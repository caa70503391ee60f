"""The job after an exchange: embeddings, duplicates, and what a newer fact supersedes."""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from memory_svc.crypto.embedding_rotation import Vector
from memory_svc.crypto.envelope import Keys, opened
from memory_svc.domain import extract as texts
from memory_svc.domain import rank, tokens
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.similarity import Text, contains, same, same_words
from memory_svc.domain.tiers import Tier
from memory_svc.jobs.worker import Write
from memory_svc.keys.cache import KeyCache
from memory_svc.recall.embed import Embedder, EmbeddingError, Refused
from memory_svc.store import items, search
from memory_svc.store.accounts import users
from memory_svc.store.database import Connection
from memory_svc.store.jobs import Claim
from memory_svc.store.tiers import episodes, facts
from memory_svc.store.unseal import read

log = logging.getLogger(__name__)

BATCH: Final = 64
EMBED_S: Final = 10.0
"""How long a job waits for embeddings: nobody waits for it."""

_CANDIDATES: Final = 8
_ANSWERS: Final = 20
_LONGEST_PAUSE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Fresh:
    row: facts.Row
    text: str
    vector: Vector | None = None
    refused: bool = False


class Settle:
    """Settles the facts of one user that are new."""

    def __init__(self, keys: KeyCache, embedder: Embedder) -> None:
        self._keys = keys
        self._embedder = embedder

    async def run(self, db: Connection, claim: Claim) -> Write:
        """Asks for a batch's embeddings; what it returns says in how many seconds to come again,
        None: all is done."""
        keys = await self._keys.get(claim.user_id)
        rows = await facts.unsettled(db, claim.user_id, BATCH)
        fresh = [_Fresh(row, text) for row in rows if (text := _text(keys, row))]
        vectors = await embeddings(self._embedder, [each.text for each in fresh])
        known = [
            replace(one, vector=_rotated(keys, got), refused=got.refused)
            for one, got in zip(fresh, vectors, strict=True)
        ]
        return partial(self._write, db, claim, keys, rows, known)

    async def _write(
        self,
        db: Connection,
        claim: Claim,
        keys: Keys,
        rows: list[facts.Row],
        fresh: list[_Fresh],
    ) -> float | None:
        if not await users.hold(db, claim.user_id):
            return None
        for row in {row.id for row in rows} - {each.row.id for each in fresh}:
            await facts.settle(db, claim.user_id, row)  # does not open: nothing to be done about it
        said = await _Said.load(db, keys, fresh)
        waiting = False
        for each in fresh:
            done = each.vector is not None or each.refused
            if await self._kept(db, keys, each, said) and done:
                await facts.settle(db, claim.user_id, each.row.id)
            waiting |= not done
        if waiting:
            return _pause(claim)
        return 0 if len(rows) == BATCH else None

    async def _kept(self, db: Connection, keys: Keys, fresh: _Fresh, said: "_Said") -> bool:
        """Whether the fact stays; its embedding, and what it supersedes, are seen to then."""
        row, user_id = fresh.row, keys.user_id
        twin = await facts.twin(db, user_id, row) or await self._near(db, keys, fresh)
        if twin:
            await facts.merge(db, user_id, row, twin)
            return False
        if said.before(fresh):
            await facts.remove(db, user_id, row.id)
            return False
        if row.slot:
            await facts.supersede(db, user_id, row)
        if fresh.vector is not None or fresh.refused:
            await facts.set_embedding(db, user_id, row.id, fresh.vector, self._embedder.model)
        return True

    async def _near(self, db: Connection, keys: Keys, fresh: _Fresh) -> UUID | None:
        """An older fact that says the same in other words."""
        query = search.Query(
            list(rank.hashed(keys, fresh.text)), fresh.vector, self._embedder.model
        )
        mine = Text.of(fresh.text)
        for found in await search.facts(db, keys.user_id, query, _CANDIDATES):
            if found.id == fresh.row.id or found.updated_at > fresh.row.created_at:
                continue
            other = opened(keys, found.content, facts.place(found.id, found.revision))
            if other and not found.entity_id and _alike(fresh, mine, Text.of(other), found):
                return found.id
        return None


def _alike(fresh: _Fresh, mine: Text, other: Text, found: search.Found) -> bool:
    """Of an attribute's value nothing but the wording may differ: another value is news."""
    if fresh.row.slot is not None:
        return same_words(mine, other)
    return same(mine, other, found.cosine)


class _Said:
    """What the server itself said before: answers, and what memory gave to them."""

    def __init__(
        self,
        keys: Keys,
        answers: dict[str, list[episodes.Row]],
        recalled: dict[UUID, list[Text]],
    ) -> None:
        self._keys = keys
        self._answers = answers
        self._recalled = recalled

    @classmethod
    async def load(cls, db: Connection, keys: Keys, fresh: list[_Fresh]) -> "_Said":
        """Reads the last exchanges, and those that the facts come from."""
        sources = {one for each in fresh for one in each.row.episode_ids}
        answers: dict[str, list[episodes.Row]] = {}
        recalled: dict[UUID, list[Text]] = {}
        for row in await episodes.newest(db, keys.user_id, _ANSWERS):
            detail = read(keys, row)
            for digest in detail.answer if detail else ():
                answers.setdefault(digest, []).append(row)
            if detail and row.id in sources:
                recalled[row.id] = await _recalled(db, keys, detail)
        return cls(keys, answers, recalled)

    def before(self, fresh: _Fresh) -> bool:
        """Whether the fact only repeats what the server said."""
        mine = Text.of(fresh.text)
        given = (
            text for source in fresh.row.episode_ids for text in self._recalled.get(source, ())
        )
        return self._answered(fresh) or any(contains(text, mine) for text in given)

    def _answered(self, fresh: _Fresh) -> bool:
        parts = [tokens.normal(part) for part in texts.sentences(fresh.text)]
        digests = [self._keys.digest(part).hex() for part in parts if part]
        return bool(digests) and all(
            any(row.created_at < fresh.row.created_at for row in self._answers.get(digest, ()))
            for digest in digests
        )


async def _recalled(db: Connection, keys: Keys, detail: Detail) -> list[Text]:
    """The preferences and facts that went with an exchange. Exchanges that did are the user's
    own words, and what a newer fact has superseded is news when it is said again."""
    ids = []
    for each in detail.recalled:
        with suppress(ValueError):
            ids.append(UUID(each))
    rows = await items.some(db, keys.user_id, ids) if ids else []
    return [
        Text.of(text)
        for row in rows
        if row.tier in (Tier.CORE, Tier.ASSOCIATIVE) and row.superseded_at is None
        if (text := opened(keys, row.text, row.place))
    ]


@dataclass(frozen=True, slots=True)
class Embedding:
    """What the provider had for a text: a vector, a refusal, or (neither) nothing right now."""

    vector: Vector | None = None
    refused: bool = False


async def embeddings(embedder: Embedder, given: list[str]) -> list[Embedding]:
    """What there is for each text. Where the provider refuses some of them, each is asked for
    by itself: one bad text shall not hold up the others.
    """
    if not given:
        return []
    try:
        return [Embedding(vector) for vector in await embedder.embed(given, EMBED_S)]
    except Refused:
        if len(given) == 1:
            return [Embedding(refused=True)]
    except EmbeddingError:
        return [Embedding()] * len(given)
    found: list[Embedding] = []
    for text in given:
        found += await embeddings(embedder, [text])
    return found


def _rotated(keys: Keys, got: Embedding) -> Vector | None:
    return keys.rotate(got.vector) if got.vector is not None else None


def _pause(claim: Claim) -> float:
    """How long to leave the provider alone, in seconds."""
    return min(_LONGEST_PAUSE_S, 2.0 ** min(claim.attempts, 16))


def _text(keys: Keys, row: facts.Row) -> str | None:
    return opened(keys, row.content, facts.place(row.id, row.revision))


class Reembed:
    """Gives the facts of one user embeddings of today's model; until then words find them."""

    def __init__(self, keys: KeyCache, embedder: Embedder) -> None:
        self._keys = keys
        self._embedder = embedder

    async def run(self, db: Connection, claim: Claim) -> Write:
        """Asks for a batch; what it returns says in how many seconds to come again, None: all is
        done."""
        keys = await self._keys.get(claim.user_id)
        rows = await facts.of_other_models(db, claim.user_id, self._embedder.model, BATCH)
        given = [_text(keys, row) or "" for row in rows]
        vectors = await embeddings(self._embedder, given)
        known = [
            _Fresh(row, text, _rotated(keys, got) if text else None, got.refused or not text)
            for row, text, got in zip(rows, given, vectors, strict=True)
        ]
        return partial(self._write, db, claim, known)

    async def _write(self, db: Connection, claim: Claim, known: list[_Fresh]) -> float | None:
        if not await users.hold(db, claim.user_id):
            return None
        waiting = False
        for each in known:
            if each.vector is not None or each.refused:
                row = each.row.id
                await facts.set_embedding(db, claim.user_id, row, each.vector, self._embedder.model)
            else:
                waiting = True
        if waiting:
            return _pause(claim)
        return 0 if known else None
