"""What is remembered, in the clear: the values that the rest of the service passes on."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Tier(IntEnum):
    """The tiers; the numbers are those of memory.proto and of `memory_terms.tier` (there, 5
    stands for facts that were superseded)."""

    CORE = 1
    ASSOCIATIVE = 2
    EPISODIC = 3
    PROACTIVE = 4

    @property
    def table(self) -> str:
        """The table that holds it."""
        return f"memory_{self.name.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that is remembered; the fields are those of memory.proto's MemoryItem."""

    id: str
    tier: Tier
    text: str
    updated_at: datetime
    score: float = 1.0
    why: str = ""
    key: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    session_id: str | None = None
    confidence: float | None = None
    evidence_ids: tuple[str, ...] = ()
    superseded_at: datetime | None = None
