"""When two texts say the same. Pure.

Keeping a fact twice is a nuisance; losing one because it looked like another is a fault.
So a number, a negation, a name or a change of heart that differs always keeps texts apart,
and what is left must agree in most of its words.
"""

from dataclasses import dataclass
from typing import Final

import regex

from memory_svc.domain import tokens

_SAME_MEANING: Final = 0.94
_SOME_WORDS: Final = 0.4
"""Where the words are not the same: a cosine of so much, and so many words shared. Vectors alone
confuse opposites, and words alone take what was added ("with oat milk") for nothing."""

_NUMBERS: Final = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy
    eighty ninety hundred thousand million billion dozen half once twice first second third
    fourth fifth sixth seventh eighth ninth tenth eleventh twelfth zwei drei vier funf sechs
    sieben acht neun zehn elf zwolf deux trois quatre cinq sept huit neuf dix onze douze dos
    tres cuatro cinco seis siete ocho nueve diez doce due tre quattro cinque sei sette otto
    nove dieci monday tuesday wednesday thursday friday saturday sunday today tomorrow
    yesterday january february march april may june july august september october november
    december""".split()  # noqa: SIM905
)

# Folded as `words.fold` does it. What weakens a statement stands with what denies it.
_AGAINST: Final = frozenset(
    """no not dont doesnt didnt cant couldnt wont wouldnt isnt arent wasnt werent havent
    hasnt hadnt shouldnt mustnt neednt aint almost nearly never none nothing nobody nowhere
    neither nor without cannot hardly barely stop stopped quit except unless instead former
    formerly longer dislike dislikes hate hates avoid avoids against refuse refuses allergic
    nicht kein keine keinen nie ohne pas jamais sans ne nunca sin senza mai non niet geen
    nooit zonder nao sem nem не нет ни никогда без bez inte aldrig utan ikke aldri uden uten
    degil yok ei""".split()  # noqa: SIM905
)

# A word with a capital inside a sentence, or one with a digit in it.
_NAME: Final = regex.compile(r"(?<=[\p{L}\p{N},;] )\p{Lu}[\p{L}\p{N}'’-]*")
_DIGITS: Final = regex.compile(r"\p{N}[\p{N}.,:/-]*\p{N}|\p{N}")

# What "my dog is called Rex" and "my dog's name is Rex" do not differ by.
_COLOURLESS: Final = frozenset({"call", "nam", "real", "actual", "know", "remember", "lik"})


@dataclass(frozen=True, slots=True)
class Text:
    """A text with what tells it apart."""

    terms: frozenset[str]
    numbers: tuple[str, ...]
    against: tuple[str, ...]
    names: frozenset[str]

    @property
    def telling(self) -> frozenset[str]:
        """Its terms but for colourless ones; all, where there are no others."""
        return self.terms - _COLOURLESS or self.terms

    @classmethod
    def of(cls, text: str) -> "Text":
        """Reads a text."""
        said = tokens.words(text)
        numbers = sorted(
            [found.strip(".,") for found in _DIGITS.findall(text)]
            + [word for word in said if word in _NUMBERS]
        )
        against = sorted(
            "not" if word.endswith("n't") else word
            for word in said
            if word in _AGAINST or word.endswith("n't")
        )
        names = frozenset(
            tokens.fold(name).removesuffix("'s")
            for name in _NAME.findall(text)
            if tokens.fold(name) not in tokens.STOP
        )
        return cls(frozenset(tokens.terms(text)), tuple(numbers), tuple(against), names)

    def apart(self, other: "Text") -> bool:
        """Whether something differs that is never a matter of wording."""
        if self.numbers != other.numbers or self.against != other.against:
            return True
        # A name in one text may stand first in the other, where capitals tell nothing.
        mine = self.terms | self.names
        theirs = other.terms | other.names
        return bool(_stems(self.names) - _stems(theirs) or _stems(other.names) - _stems(mine))


def _stems(names: frozenset[str]) -> frozenset[str]:
    return frozenset(term for name in names for term in tokens.terms(name))


def same(one: Text, other: Text, cosine: float = 0.0) -> bool:
    """Whether two texts say the same; `cosine` is that of their embeddings, 0 where unknown."""
    if one.apart(other):
        return False
    mine, theirs = one.telling, other.telling
    if mine == theirs:
        return True
    return cosine >= _SAME_MEANING and len(mine & theirs) >= _SOME_WORDS * len(mine | theirs)


def same_words(one: Text, other: Text) -> bool:
    """Whether two texts say the same in the same words but for colourless ones."""
    return not one.apart(other) and one.telling == other.telling


def contains(whole: Text, part: Text) -> bool:
    """Whether `whole` says all that `part` says."""
    return (
        bool(part.terms)
        and part.terms <= whole.terms
        and set(part.numbers) <= set(whole.numbers)
        and part.against == whole.against
    )
