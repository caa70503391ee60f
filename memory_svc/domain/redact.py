"""Takes a fact that was deleted out of the exchanges that it was said in. Pure.

A fact may stand there in other words than its own, or in part; what was said where is kept
for the newest sayings only. So an exchange is judged by its sentences: where the fact is known to
come from, whatever shares its words goes, and the whole message where nothing does; elsewhere
a sentence goes that says the fact, or a part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from memory_svc.crypto.envelope import Keys
from memory_svc.domain import extract
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.similarity import Text

REMOVED: Final = "An exchange of which the user removed something."
"""The summary of an exchange of which nothing may be told."""

_LONG_NUMBER: Final = 3


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that is to go. `leads`: those of its sentences that say something by themselves;
    `parts`: these, those that lean on them, and all of it as one."""

    text: Text
    leads: tuple[Text, ...]
    parts: tuple[Text, ...]
    entity: tuple[str, str] | None = None

    @classmethod
    def of(cls, text: str, entity: tuple[str, str] | None = None) -> "Fact":
        """Reads a fact; `entity`: kind and id of what it is about."""
        whole, said = Text.of(text), extract.sentences(text)
        leads = tuple(Text.of(part) for part in said if not extract.leans(part))
        return cls(whole, leads or (whole,), (whole, *map(Text.of, said)), entity)

    def hashes(self, keys: Keys) -> list[int]:
        """Its words as the index knows them."""
        return [keys.term(term) for term in self.text.terms]


def without(what: Detail, fact: Fact, *, source: bool) -> Detail | None:
    """An exchange without the fact; None: it does not say it. `source`: it is known to."""
    entities = tuple(each for each in what.entities if not _about(each, fact))
    touched = len(entities) < len(what.entities)
    message = _left(what.message, fact, source=source, blank=source and not touched)
    if message is None and not touched:
        return None
    kept = what.message if message is None else message
    return replace(what, message=kept, entities=entities, summarised=True)


def summary(what: Detail) -> str:
    """What may be told of an exchange that something was cut out of."""
    if not what.message:
        return REMOVED
    return extract.summary(what.message, what.entities, what.agent, what.tools)


def _about(entity: extract.Entity, fact: Fact) -> bool:
    title = Text.of(entity.title)
    return (entity.kind, entity.id) == fact.entity or (
        bool(title.terms) and (title.terms <= fact.text.terms or fact.text.terms <= title.terms)
    )


def _left(message: str, fact: Fact, *, source: bool, blank: bool) -> str | None:
    said = extract.sentences(message)
    texts = [Text.of(part) for part in said]
    goes = [any(_says(part, lead) for lead in fact.leads) for part in texts]
    if source or any(goes):  # it was said here: so may be what leans on it
        goes = [
            gone or any(_says(part, one) or _shares(part, one) for one in fact.parts)
            for gone, part in zip(goes, texts, strict=True)
        ]
    if not any(goes):
        return "" if blank else None
    return " ".join(_kept(said, goes))


def _kept(said: Sequence[str], goes: Sequence[bool]) -> list[str]:
    kept, gone_before = [], False
    for part, gone in zip(said, goes, strict=True):
        gone_before = gone or (gone_before and extract.leans(part))
        if not gone_before:
            kept.append(part)
    return kept


def _says(part: Text, fact: Text) -> bool:
    """Whether a sentence says all of the fact, or nothing but a part of it."""
    mine, theirs = part.telling, fact.telling
    if len(mine) < 2 or len(theirs) < 2:
        return bool(mine) and mine == theirs
    return mine <= theirs or theirs <= mine


def _shares(part: Text, fact: Text) -> bool:
    """Whether so much of a sentence is the fact's that it may well say it."""
    mine, theirs = part.telling, fact.telling
    shared = mine & theirs
    number = any(len(each) >= _LONG_NUMBER for each in set(part.numbers) & set(fact.numbers))
    return number or (bool(shared) and 2 * len(shared) >= min(len(mine), len(theirs)))
