"""The known words that a wrong one was most likely meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

MOST_CHARS: Final = 64
"""No name is longer, and to compare takes time by the square of it."""


def folded(word: str) -> str:
    """A word without case and joints: dueDate, due_date and Due date are one."""
    return "".join(filter(str.isalnum, word)).casefold()


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Up to three known words that are most like this one, the most like first."""
    by_fold = {folded(one): one for one in known}
    found = difflib.get_close_matches(folded(word[:MOST_CHARS]), by_fold, 3, 0.6)
    return [by_fold[one] for one in found]


def hint(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest, with a blank before it; empty where none is near."""
    found = nearest(word, known)
    return f" Did you mean {' or '.join(found)}?" if found else ""
