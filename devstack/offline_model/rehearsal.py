"""Rehearsals: a message that begins with "rehearse" makes this model misbehave.

So a client or a server can be tried against what real providers do on bad days,
without waiting for one:

    rehearse a cut                      half an answer, then the connection breaks
    rehearse a length stop              an answer that ends at the token limit
    rehearse a refusal                  the model refuses
    rehearse an outage                  503 instead of an answer
    rehearse a rate limit               429 instead of an answer
    rehearse a long answer of N words   as fast as it goes
    rehearse a slow answer of N words   twenty words a second
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SLOW_WORDS_PER_S: Final = 20.0
MAX_WORDS: Final = 1_000_000


class Mishap(StrEnum):
    """What goes wrong."""

    CUT = "a cut"
    LENGTH = "a length stop"
    REFUSAL = "a refusal"
    OUTAGE = "an outage"
    RATE_LIMIT = "a rate limit"
    LONG = "a long answer"
    SLOW = "a slow answer"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A mishap, and how many words are said."""

    mishap: Mishap
    words: int


_PATTERN: Final = re.compile(
    rf"\s*rehearse ({'|'.join(Mishap)})(?: of (\d{{1,7}}) words)?\b", re.IGNORECASE
)


def read(message: str) -> Rehearsal | None:
    """The rehearsal that a message asks for, if any."""
    found = _PATTERN.match(message)
    if found is None:
        return None
    words = min(int(found[2] or 20), MAX_WORDS)
    return Rehearsal(Mishap(found[1].lower()), words)


def pieces(asked: Rehearsal) -> Iterator[str]:
    """The words as they are streamed, numbered, so that a gap or a double shows: one at a time,
    of a long answer many. Made as they are asked for: a million words take a second."""
    many = 64 if asked.mishap is Mishap.LONG else 1
    for start in range(1, asked.words + 1, many):
        numbers = range(start, min(start + many, asked.words + 1))
        yield "".join(f"word{number} " for number in numbers)
