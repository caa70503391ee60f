"""The slot that a statement sets: (entity, attribute). Pure.

A newer value of a slot supersedes the older one, and a wrong supersession hides what is true.
So the forms are few, and of things and people a value must look like one: a number or a name.
"My car is a red Volvo" says which car it is; "my car is dirty" says nothing that would replace it.
Where something is ("in Berlin") and what it is ("room 12") are two slots.
"""

from typing import Final

import regex

from memory_svc.domain import tokens

# Of these, any value is one.
_ANY: Final = frozenset(
    """name nickname age status priority owner assignee username handle timezone zone goal target
    size major degree""".split()  # noqa: SIM905
)

# Of these only what looks like one.
_SURE: Final = frozenset(
    """address email phone number office room desk birthday anniversary job title role position
    boss manager lead employer company team city town country home language salary budget deadline
    launch release website editor laptop car doctor dentist hotel flight gate seat version diet
    plate hometown school university date venue location time""".split()  # noqa: SIM905
)
_WHEN: Final = frozenset(
    "birthday anniversary deadline launch release date time".split()  # noqa: SIM905
)

_CHOSEN: Final = regex.compile(r"(?:favou?rite|preferred|default|usual|current)\b ")
_JOINED: Final = regex.compile(r"\b(?:and|but) (?:i|my|we|our)\b")
_IS: Final = r"(?: is| are|'s| will be| has changed to| changed to| moved to| has moved to| is now)"
_OWN: Final = regex.compile(rf"(?:my|our) (?P<attr>[^,;:]{{1,60}}?){_IS} (?P<value>.+)")
_THEIRS: Final = regex.compile(
    rf"(?P<entity>[\p{{L}}\p{{N}} -]{{1,40}}?)'s (?P<attr>[^,;:']{{1,40}}?){_IS} (?P<value>.+)"
)
_OF: Final = regex.compile(
    rf"the (?P<attr>[^,;:]{{1,40}}?) (?:of|for) (?P<entity>[^,;:]{{1,60}}?){_IS} (?P<value>.+)"
)
_FORMS: Final = (
    (regex.compile(r"(?:i|we) (?:now )?(?:live|moved|have moved|relocated) (?:in|to) "), "home"),
    (regex.compile(r"(?:i|we) (?:now )?work (?:at|for) "), "employer"),
    (regex.compile(r"(?:you can |please )?call me "), "name"),
    (regex.compile(r"i(?:'m| am) \p{N}{1,3}(?: years old)?$"), "age"),
)
_DOUBT: Final = regex.compile(
    r"\b(?:not|never|n't|maybe|perhaps|might|if|used to|was|were)\b|n't\b"
)

_PLACE: Final = regex.compile(r"(?:now |still |currently )?(?:in|at|on|near|from) ")
_NAME: Final = (
    r"(?:\p{Ll}?\p{Lu}[^\s,;]*|[^\s,;]*[\p{N}@][^\s,;]*|(?i:monday|tuesday|wednesday|thursday|friday|"
    r"saturday|sunday|today|tomorrow|noon|midnight|january|february|march|april|may|june|july|"
    r"august|september|october|november|december))"
)
_LIKE_ONE: Final = regex.compile(
    r"(?:now |still |currently )?(?:(?:in|at|on|near|from|by|due) )?"
    r"(?:(?:a|an|the|my|our) (?:[\p{Ll}-]+ ){0,2}|(?:room|floor|gate|seat|row|building|number|no|"
    r"desk|house|flat|terminal|platform|version|next|dr) )?"
    rf"{_NAME}(?:,? (?:(?:of|de|von|van|and|in|at|on|the|&|-) ){{0,2}}{_NAME})*"
    r"(?: (?:euros?|dollars?|pounds?|am|pm|percent|million|o'clock|years?))?"
)
# A capital alone makes no name of these.
_KIND: Final = regex.compile(
    r"(?:American|Canadian|British|English|German|French|Italian|Spanish|Dutch|Swiss|Polish|"
    r"Indian|Chinese|Japanese|Russian|Australian|Irish|Swedish|Danish|Catholic|Muslim|Jewish)"
)


def slot(sentence: str) -> str | None:
    """The (entity, attribute) whose value a sentence sets, as one text."""
    said = tokens.fold(sentence).strip(" .!")
    if _DOUBT.search(said) or _JOINED.search(said):
        return None
    for opening, settled in _FORMS:
        if opening.match(said):
            return f"user|{_key(settled)}"
    for form in (_OWN, _THEIRS, _OF):
        if match := form.fullmatch(said):
            attribute = _attribute(match["attr"], _value(sentence, match["value"]))
            if attribute:
                return f"{_key(match.groupdict().get('entity', 'user'))}|{attribute}"
    return None


def _value(sentence: str, folded: str) -> str:
    """The value as it was written: what is folded has no capitals."""
    return " ".join(sentence.split()[-len(folded.split()) :]).strip(" .!")


def _attribute(text: str, value: str) -> str | None:
    last = text.rpartition(" ")[2]
    if _CHOSEN.match(text) or last in _ANY:
        return _key(text)
    if last not in _SURE or not _LIKE_ONE.fullmatch(value):
        return None
    if last != "language" and _KIND.fullmatch(value):
        return None
    return f"{_key(text)} @" if last not in _WHEN and _PLACE.match(value) else _key(text)


def _key(text: str) -> str:
    return " ".join(sorted(tokens.terms(text))) or text
