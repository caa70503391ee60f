"""What an exchange leaves to be remembered. Pure.

Facts come from what the user states, and from the entities that tools touched; never from
the answer. A question or a command states nothing. A fact that says what an attribute of
something *is* has a slot (`memory_svc.slots`); a newer fact of the same slot supersedes it.

A device's texts may be anybody's. They are kept where they are as short as a name, or where the
user said their words too; in whichever language, no sentence of a device's becomes a memory.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import regex

from memory_svc.domain import tokens
from memory_svc.domain.slots import slot

MAX_FACTS: Final = 12
"""Statements kept of one message."""

MAX_ENTITIES: Final = 25
MAX_TEXT: Final = 600
MAX_ID: Final = 128

_READ: Final = 32_000
_END: Final = regex.compile(r"(?<=[.!?])[\s\"'”’)]+(?=[\p{Lu}\p{N}\"“(\[])|(?<=[。！？])|\n+")
_CLAUSE: Final = regex.compile(
    r",\s*(?:and |but )?(?=(?:I|I'm|I've|my|we|our|call me)\b)", regex.IGNORECASE
)
_QUESTION: Final = regex.compile(
    r"(?:what|who|whom|whose|when|where|why|how|which|is|are|am|was|were|do|does|did|can|could|"
    r"would|will|should|shall|may|have you|has|had|any)\b",
    regex.IGNORECASE,
)
_COMMAND: Final = regex.compile(
    r"(?:please |now |then |and |also |ok(?:ay)?,? |can you |could you |would you )*"
    r"(?:show|list|create|add|delete|remove|make|find|search|open|close|update|change|set|move|"
    r"mark|complete|finish|summari[sz]e|write|tell|give|help|plan|schedule|draft|get|read|look|"
    r"check|rename|assign|approve|suggest|compare|count|sort|filter|chart|plot|draw|start|stop|"
    r"cancel|undo|explain|translate|send|print|export|ignore|forget|disregard|go|try|use|put|"
    r"prepare|break|split|merge|archive|generate|compute|calculate|visuali[sz]e|describe)\b",
    regex.IGNORECASE,
)
_PLEASE: Final = regex.compile(r"\bplease\b", regex.IGNORECASE)
_TOLD: Final = regex.compile(
    r"(?:please )?(?:remember|note|keep in mind|don'?t forget|fyi|for your information)"
    r"(?: that)?[:,]? ",
    regex.IGNORECASE,
)
_LEANING: Final = regex.compile(
    r"(?:it|it's|he|she|they|this|that|these|those|there|his|her|their|its|and|but|also|which|so)\b",
    regex.IGNORECASE,
)
_POLITE: Final = frozenset(
    """hi hello hey thank thanks ok okay yes great good nice cool sure perfect bye morning evening
    awesome welcome fine""".split()  # noqa: SIM905
)

_NAME_WORDS: Final = 3
_NAME_CHARS: Final = 24
"""What a device says in so few words is a name, or a word such as done. In more there may stand a
sentence, which others may have written, and which nobody shall be told as something remembered."""

_DATE: Final = regex.compile(r"[\p{N}TZ:.,+-]+")
_ID: Final = regex.compile(r"[\x21-\x7e]+")
_KEY: Final = regex.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
# Not to be kept whoever wrote it; ids of other things say nothing to anybody.
_NO_KEY: Final = regex.compile(
    r"Id$|pass(?:word|phrase|code)|api_?key|secret|credential|token", regex.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity that a tool returned; its texts come from a device."""

    kind: str
    id: str
    title: str
    changed: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to remember; `slot` names (entity, attribute) where the text sets one."""

    text: str
    slot: str | None = None
    entity: Entity | None = None


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; a line break ends one too."""
    return [part.strip() for part in _END.split(text[:_READ]) if part and part.strip()]


def stated(message: str) -> list[Fact]:
    """What the user states in a message."""
    found: list[str] = []
    for sentence in _clauses(message):
        told = _TOLD.match(sentence)
        text = sentence[told.end() :] if told else sentence
        if not told and not _states(text):
            continue
        if found and not told and leans(text) and len(found[-1]) + len(text) < MAX_TEXT:
            found[-1] = f"{found[-1]} {text}"
        elif tokens.telling(text) and len(tokens.words(text)) >= 2:
            found.append(text)
    return [Fact(_cut(text), slot(text)) for text in found[:MAX_FACTS]]


def leans(sentence: str) -> bool:
    """Whether a sentence says nothing without the one before it."""
    return bool(_LEANING.match(sentence))


def _clauses(message: str) -> list[str]:
    """Sentences, cut where the user begins anew: each part may set a slot of its own."""
    return [part for whole in sentences(message) for part in _CLAUSE.split(whole) if part]


def _states(sentence: str) -> bool:
    if sentence.rstrip("\"'”’) ").endswith(("?", "？")):
        return False
    if _QUESTION.match(sentence):
        return False
    asks = _PLEASE.search(sentence) or _COMMAND.match(sentence)
    if asks and not slot(sentence):
        return False
    return bool(set(tokens.telling(sentence)) - _POLITE)


def touched(entities: Sequence[Entity], message: str) -> list[Fact]:
    """What is known of the entities that were changed, or that the message names."""
    said = _said(message) if entities else frozenset()
    return [fact for entity in meant(entities, message) for fact in _facts(entity, said)]


def meant(entities: Sequence[Entity], message: str) -> list[Entity]:
    """The entities that an exchange was about: what was merely listed is not."""
    named = set(tokens.terms(message)) if entities else set()

    def is_meant(entity: Entity) -> bool:
        title = set(tokens.terms(entity.title))
        return entity.changed or (bool(title) and title <= named)

    return [each for each in entities[:MAX_ENTITIES] if usable(each) and is_meant(each)]


def usable(entity: Entity) -> bool:
    """Whether the entity's id and kind can be kept."""
    return all(0 < len(text) <= MAX_ID and text.isprintable() for text in (entity.id, entity.kind))


def _said(message: str) -> frozenset[str]:
    return frozenset(tokens.words(message))


def _may_be_kept(text: str, said: Set[str]) -> bool:
    """Whether a device's text is a name, a number, or of no word that the user did not say."""
    told = tokens.words(text)
    short = len(text) <= _NAME_CHARS
    name = short and 0 < len(told) <= _NAME_WORDS
    return name or (short and bool(_DATE.fullmatch(text))) or (bool(told) and said >= set(told))


def _facts(entity: Entity, said: Set[str]) -> list[Fact]:
    name = f"{entity.kind.capitalize()} {_shown(entity, said)}"
    certain = [
        (key, _plain(key, value))
        for key, value in sorted(entity.attributes.items())
        if _KEY.fullmatch(key) and not _NO_KEY.search(key) and _may_be_kept(value, said)
    ]
    slot_of = f"{entity.kind}:{entity.id}"
    if not certain:
        return [Fact(_cut(name), f"{slot_of}|", entity)]
    return [
        Fact(_cut(f"{name}: {key} is {value}"), f"{slot_of}|{key}", entity)
        for key, value in certain[:8]
    ]


def _plain(key: str, value: str) -> str:
    """A value as people read it: times are milliseconds in the store of the device."""
    if key.lower().endswith(("date", "at")) and re.fullmatch(r"[0-9]{11,13}(?:\.0)?", value):
        return datetime.fromtimestamp(float(value) / 1000, UTC).date().isoformat()
    return value


def shown(entity: Entity, message: str) -> str:
    """The entity as it is told of: by its title where that may be kept, else by its id."""
    return _shown(entity, _said(message))


def _shown(entity: Entity, said: Set[str]) -> str:
    title = entity.title.strip()
    if _may_be_kept(title, said):
        return f"“{_cut(title, 120)}”"
    return entity.id if _ID.fullmatch(entity.id) else "…"


def summary(message: str, entities: Sequence[Entity], agent: str, tools: Sequence[str]) -> str:
    """What happened, in a line or two: what the user said, what was done with what."""
    parts = [f"The user said: “{_cut(' '.join(message.split()), 300)}”."] if message.strip() else []
    if tools:
        parts.append(f"{agent or 'The agent'} used {', '.join(dict.fromkeys(tools))}."[:300])
    said = _said(message) if entities else frozenset()
    for label, changed in (("Changed", True), ("Seen", False)):
        names = [
            _shown(each, said) for each in entities if each.changed == changed and usable(each)
        ]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            parts.append(f"{label}: {', '.join(names[:3])}{more}.")
    return " ".join(parts) or "An exchange without words."


def _cut(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + "…"
