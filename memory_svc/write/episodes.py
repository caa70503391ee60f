"""StoreEpisode: an exchange kept at once, findable by words; jobs do the rest.

No model is called here. What is kept comes from what the user said, without what they quoted, and
from the entities that tools touched; never from the answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from memory_svc.crypto.envelope import Keys
from memory_svc.domain import extract, rank, tokens
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.extract import Entity, Fact
from memory_svc.keys.cache import KeyCache
from memory_svc.store.database import Database
from memory_svc.store.tiers import episodes
from memory_svc.store.tiers import facts as fact_store
from runtime import quoting
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import Quoted

MAX_MESSAGE: Final = 8_000
"""Characters of a message that are kept with the exchange."""

_MAX_ANSWER: Final = 60
_LONG: Final = 4_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said and done in one request; `quoted`: what in `message` is."""

    session_id: str
    request_id: str
    message: str
    response: str = ""
    agent: str = ""
    entities: Sequence[Entity] = ()
    tools: Sequence[str] = ()
    recalled: Sequence[str] = ()
    timezone: str = "UTC"
    quoted: Sequence[Quoted] = ()


@dataclass(frozen=True, slots=True)
class _Sealed:
    episode: episodes.NewEpisode
    facts: list[episodes.NewFact]


class Remember:
    """Keeps exchanges. `jobs`: what is done about each afterwards, kind → delay in seconds;
    `wake` tells the worker of this process."""

    def __init__(
        self,
        db: Database,
        keys: KeyCache,
        jobs: dict[str, float],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._keys = keys
        self._jobs = jobs
        self._wake = wake

    async def store(self, user_id: UUID, exchange: Exchange) -> tuple[UUID, bool]:
        """Keeps an exchange, once for each request id; committed when it returns.

        Returns the episode's id, and whether it is new. Raises NOT_FOUND for a user unknown
        or erased, and INVALID_FRAME for ids that are none.
        """
        if exchange.session_id:
            _check_id("session", exchange.session_id)
        _check_id("request", exchange.request_id)
        keys = await self._keys.get(user_id)
        if len(exchange.message) + len(exchange.response) > _LONG:
            sealed = await asyncio.to_thread(_seal, keys, exchange)
        else:
            sealed = _seal(keys, exchange)
        async with self._db.connection() as db:
            there, new = await episodes.keep(db, user_id, sealed.episode, sealed.facts, self._jobs)
            if not there:
                self._keys.forget(user_id)
                raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such user.")
            if new:
                self._wake()
                return new, True
            old = await episodes.of_request(db, user_id, exchange.request_id)
        if old is None:  # removed between the two statements
            raise SwitchboardError(ErrorCode.ERROR_CODE_CONFLICT, "This exchange was removed.")
        return old, False


def _check_id(what: str, text: str) -> None:
    if not 0 < len(text) <= extract.MAX_ID or not text.isprintable():
        raise SwitchboardError(
            ErrorCode.ERROR_CODE_INVALID_FRAME,
            f"A {what} id is 1 to {extract.MAX_ID} printable characters.",
        )


def _seal(keys: Keys, exchange: Exchange) -> _Sealed:
    said = quoting.own(exchange.message, exchange.quoted)
    found = extract.stated(said) + extract.touched(exchange.entities, said)
    # All of one message are of one time, so their ids tell which was said last: it holds.
    last = {digest_text(fact): fact for fact in reversed(found)}
    ids = sorted(uuid4() for _ in last)
    kept = [_fact(keys, row, fact) for row, fact in zip(ids, reversed(last.values()), strict=True)]
    return _Sealed(_episode(keys, exchange, said), kept)


def digest_text(fact: Fact) -> str:
    """What a fact is an exact duplicate by; facts of two entities never are."""
    entity = f"{fact.entity.kind}:{fact.entity.id} " if fact.entity else ""
    return entity + tokens.normal(fact.text)


def _fact(keys: Keys, row: UUID, fact: Fact) -> episodes.NewFact:
    return episodes.NewFact(
        id=row,
        content=keys.seal(fact.text, fact_store.place(row, 1)),
        digest=keys.digest(digest_text(fact)),
        slot=keys.digest(f"slot {fact.slot}") if fact.slot else None,
        entity_type=fact.entity.kind if fact.entity else None,
        entity_id=fact.entity.id if fact.entity else None,
        terms=rank.hashed(keys, fact.text),
    )


def _episode(keys: Keys, exchange: Exchange, said: str) -> episodes.NewEpisode:
    row = uuid4()
    usable = tuple(each for each in exchange.entities if extract.usable(each))
    message = said[:MAX_MESSAGE]
    summary = extract.summary(message, usable, exchange.agent, exchange.tools)
    answer = (tokens.normal(sentence) for sentence in extract.sentences(exchange.response))
    detail = Detail(
        message=message,
        agent=exchange.agent,
        tools=tuple(exchange.tools[:50]),
        entities=usable[: extract.MAX_ENTITIES],
        timezone=exchange.timezone,
        answer=tuple(keys.digest(text).hex() for text in answer if text)[:_MAX_ANSWER],
        recalled=tuple(exchange.recalled[:50]),
    )
    return episodes.NewEpisode(
        id=row,
        summary=keys.seal(summary, episodes.place(row, 1)),
        detail=keys.seal(detail.dump(), episodes.place(row, 1, "detail_encrypted")),
        session_id=exchange.session_id,
        request_id=exchange.request_id,
        created_at=datetime.now(UTC),
        terms=rank.hashed(keys, f"{message} {summary}"),
    )
