"""Text as recall sees it: Unicode words, folded, lightly stemmed. Pure.

Nothing is kept between calls: a cache of stems would hold what erased users said.
"""

import unicodedata
from collections import Counter
from itertools import islice, pairwise
from typing import Final

import regex

MAX_TERMS: Final = 256
"""Distinct words of one text that are indexed; a pasted book must not fill the index."""

# UAX #29 word boundaries. What it cannot cut (Thai and its neighbours) and what it cuts to
# single signs (Han, kana) is taken in pairs of signs.
_BOUNDARY: Final = regex.compile(r"(?V1w)\b")
_UNSPACED: Final = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+"
)
_ACCENTS: Final = regex.compile(r"[\u0300-\u036f]")
_INVISIBLE: Final = regex.compile(r"\p{Cf}")
_MAX_WORD: Final = 64

_VOWELS: Final = frozenset("aeiouy")

# Words that carry grammar only. Negations are among them: they tell texts apart
# (`memory_svc.duplicates`), but nobody looks for them.
STOP: Final = frozenset(
    """a about after all also am an and any are as at be because been before being but by can
    could did do does doing don't for from had has have having he her here hers him his how i i'd
    i'll i'm i've if in into is isn't it it's its itself just let's me might more most must my
    myself no nor not now of off on once one only or other our ours out over own please s same
    shall she should so some such t than that that's the their theirs them then there these they
    this those through to too under until up upon us very was wasn't we we're were what what's
    when where which while who whom why will with would you your yours""".split()  # noqa: SIM905
)


def fold(text: str) -> str:
    """The text without case, width, Latin accents, and invisible signs (bidi controls too)."""
    flat = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text).replace("’", "'"))
    return unicodedata.normalize("NFC", _ACCENTS.sub("", flat)).casefold()


def words(text: str) -> list[str]:
    """The folded words, in order."""
    pieces = _BOUNDARY.split(fold(text))
    return [piece[:_MAX_WORD] for piece in pieces if any(map(str.isalnum, piece))]


def telling(text: str) -> list[str]:
    """The folded words that say something, in order, unstemmed."""
    return [word for word in words(text) if word not in STOP]


def terms(text: str, limit: int = MAX_TERMS) -> Counter[str]:
    """The stems of the words that say something, with how often each stands there.

    Of a text with more than `limit` distinct ones, the first.
    """
    return Counter(dict(islice(Counter(_stems(text)).items(), limit)))


def _stems(text: str) -> list[str]:
    folded = fold(text)
    # Signs of scripts without spaces are taken out first, or each would be a word of its own.
    stems = [pair for run in _UNSPACED.findall(folded) for pair in _pairs(run)]
    known: dict[str, str] = {}
    for word in words(_UNSPACED.sub(" ", folded)):
        if word in STOP:
            continue
        if word not in known:
            if len(known) >= 4 * MAX_TERMS:
                break
            known[word] = stem(word.removesuffix("'s"))
        stems.append(known[word])
    return stems


def stem(word: str) -> str:
    """The word without the endings that English forms change: plural, -ing, -ed, -ly, and the
    e or y before them. Light on purpose, and some twenty times faster than a full stemmer, which
    took most of the time that keeping an exchange took.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    word = _singular(word)
    for ending in ("ing", "ed", "ly"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 2 and not _VOWELS.isdisjoint(root):
            double = root[-1] == root[-2] and root[-1] not in "lsz"
            word = root[:-1] if double else root
            break
    if word.endswith("e") and len(word) > 3:
        return word[:-1]
    if word.endswith("y") and len(word) > 3 and word[-2] not in _VOWELS:
        return f"{word[:-1]}i"
    return word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word[-1] == "s" and word[-2] not in "sui" else word


def _pairs(run: str) -> list[str]:
    return [first + second for first, second in pairwise(run)] or [run]


def normal(text: str) -> str:
    """The text as exact duplicates are found by: its words, and nothing between them."""
    return " ".join(words(text))
