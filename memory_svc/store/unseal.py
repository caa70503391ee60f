"""Rows opened to items. What does not open is logged, without its content, and left out."""

from collections.abc import Iterable

from memory_svc.crypto import preference_keys
from memory_svc.crypto.envelope import Keys, opened
from memory_svc.domain import episode_detail
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.tiers import Item, Tier
from memory_svc.store.items import Row
from memory_svc.store.search import Found, FoundEpisode
from memory_svc.store.tiers import episodes, facts


def item(keys: Keys, row: Row, *, score: float = 1.0, why: str = "") -> Item | None:
    """A row of any tier as an item; None where it does not open."""
    text = opened(keys, row.text, row.place)
    key = row.key and preference_keys.read(keys, row.id, row.key, row.sealed_key)
    if text is None or (row.key and key is None):
        return None
    return Item(
        id=str(row.id),
        tier=row.tier,
        text=episode_detail.pattern(text).text if row.tier is Tier.PROACTIVE else text,
        updated_at=row.at,
        score=score,
        why=why or row.status or ("preference" if row.tier is Tier.CORE else ""),
        key=key,
        entity_type=row.entity_type,
        entity_id=row.entity_id,
        session_id=row.session_id,
        confidence=row.confidence,
        evidence_ids=tuple(map(str, row.evidence_ids or ())),
        superseded_at=row.superseded_at,
    )


def items(keys: Keys, rows: Iterable[Row]) -> list[Item]:
    """Rows of any tier as items."""
    return [made for row in rows if (made := item(keys, row))]


def fact(keys: Keys, found: Found, score: float, why: str) -> Item | None:
    """A fact that was found, as an item."""
    text = opened(keys, found.content, facts.place(found.id, found.revision))
    if text is None:
        return None
    return Item(
        id=str(found.id),
        tier=Tier.ASSOCIATIVE,
        text=text,
        updated_at=found.updated_at,
        score=score,
        why=why,
        entity_type=found.entity_type,
        entity_id=found.entity_id,
        superseded_at=found.superseded_at,
    )


def episode(keys: Keys, found: FoundEpisode) -> Item | None:
    """An exchange that was found, as an item."""
    text = opened(keys, found.summary, episodes.place(found.id, found.revision))
    if text is None:
        return None
    return Item(
        id=str(found.id),
        tier=Tier.EPISODIC,
        text=text,
        updated_at=found.created_at,
        score=min(1.0, found.words),
        why="words",
        session_id=found.session_id,
    )


def read(keys: Keys, row: episodes.Row) -> Detail | None:
    """An exchange's detail; None where it does not open."""
    place = episodes.place(row.id, row.revision, "detail_encrypted")
    text = opened(keys, row.detail, place)
    return Detail.load(text) if text else None
