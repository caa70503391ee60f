"""Whose words a memory holds: the user's alone, or a device's too, which others may have written.
Pure.

It is told by what a memory is, so that rows from before have it too: a fact about an entity holds
what a device said of it, and the form of a summary tells whether it names one that the user did not
name. Where that cannot be told, as where a model wrote the summary, it counts as a device's.
"""

from typing import Final, assert_never

import regex

from memory_svc.domain import tokens
from memory_svc.domain.tiers import Item, Tier
from switchboard.v3.memory_pb2 import MemorySource

# As `facts.summary` writes it; a name stands in marks, and an id without.
_SUMMARY: Final = regex.compile(
    r"The user said: “(?P<said>[^“”]*)”\.(?: \w+ used [\w, ]+\.)?"
    r"(?P<things>(?: (?:Changed|Seen): .+\.)?)|An exchange without words\."
)
_NAME: Final = regex.compile(r"“([^“”]*)”")


def source(item: Item) -> MemorySource.ValueType:
    """Whose words an item holds."""
    device, user = MemorySource.MEMORY_SOURCE_DEVICE, MemorySource.MEMORY_SOURCE_USER
    match item.tier:
        case Tier.CORE:
            return user
        case Tier.ASSOCIATIVE:
            return user if item.entity_id is None else device
        case Tier.EPISODIC:
            return user if _is_own(item.text) else device
        case Tier.PROACTIVE:  # only of an entity does it name one, in such marks
            return device if "“" in item.text else user
        case _:
            assert_never(item.tier)


def _is_own(summary: str) -> bool:
    """Whether a summary names nothing that the user did not name."""
    told = _SUMMARY.fullmatch(summary)
    if told is None:
        return False
    said = set(tokens.words(told["said"] or ""))
    return all(said >= set(tokens.words(name)) for name in _NAME.findall(told["things"] or ""))
