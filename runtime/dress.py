"""PURE: the dresses in which models write their thinking: the tags and tokens around it."""

from __future__ import annotations

import re
from typing import Final

from runtime.prose import Match, Openings, Span

_ENDS_OF_CHANNEL: Final = (
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|start|>assistant<|channel|>final<|message|>",
    "<|channel|>final<|message|>",
)
_CHANNELS: Final = tuple(
    Span(f"{start}<|channel|>{name}", closings)
    for start in ("", "<|start|>assistant")
    for name, closings in (
        ("analysis", _ENDS_OF_CHANNEL),
        ("commentary", _ENDS_OF_CHANNEL),
        ("final", ("<|message|>",)),  # only the header: what follows is the answer
    )
)
_TAGS: Final = (
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "seed:think",
)
_PAIRS: Final = (
    *((f"<{tag}>", f"</{tag}>") for tag in _TAGS),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)

_NAME: Final = r"[\w:-]{1,32}"
_ATTRIBUTE: Final = rf"\s{{1,8}}{_NAME}=(?:\"[^\"<>]{{0,64}}\"|'[^'<>]{{0,64}}'|[\w.:-]{{1,64}})"
_BEGUN: Final = (  # an attribute as far as it is written
    rf"\s{{0,8}}|\s{{1,8}}{_NAME}(?:=(?:\"[^\"<>]{{0,64}}|'[^'<>]{{0,64}}|[\w.:-]{{0,64}})?)?"
)
_TAG: Final = rf"<(?P<tag>{'|'.join(_TAGS)})(?:{_ATTRIBUTE}){{1,8}}\s{{0,8}}/?>"


class _Tags(Openings):
    """Openings that may have attributes, where they are tags: `<think time="3s">`."""

    _whole = re.compile(_TAG, re.IGNORECASE | re.ASCII)
    _begun = re.compile(
        rf"<(?:{'|'.join(_TAGS)})(?=\s)(?:{_ATTRIBUTE}){{0,8}}(?:{_BEGUN})\Z",
        re.IGNORECASE | re.ASCII,
    )

    def at(self, text: str, place: int, *, last: bool) -> Match:
        """The span whose opening stands at `place`."""
        found = super().at(text, place, last=last)
        if found is not None or text[place : place + 1] != "<":
            return found
        if tag := self._whole.match(text, place):
            return Span(tag[0], (f"</{tag['tag'].lower()}>",))
        return "wait" if not last and self._begun.match(text, place) else None


OPENINGS: Final = _Tags(
    [
        *(Span(opening, (closing,)) for opening, closing in _PAIRS),
        *_CHANNELS,
        Span("<|start_response|>"),
        Span("<|begin_of_solution|>"),
        Span("<answer>"),  # after its thinking alone
    ]
)
"""What a line may begin with."""

PAIRED: Final = _Tags([Span(opening, (closing,)) for opening, closing in _PAIRS])
"""What may stand within a line, too, if it is closed."""

LONE: Final = Openings([Span(closing) for _, closing in _PAIRS])
"""Closings whose opening is missing."""

CLOSINGS: Final = Span("", tuple(closing for _, closing in _PAIRS)).ends()
LONGEST_CLOSING: Final = max(len(closing) for _, closing in _PAIRS)

TOKENS: Final = Openings(
    [
        *_CHANNELS,
        *(
            Span(token)
            for token in ("<|end|>", "<|return|>", "<|end_response|>", "<|end_of_solution|>")
        ),
    ]
)
"""After special tokens were seen, these are litter wherever they stand."""

WRAPPED: Final = Openings([Span("</answer>")])

BARE: Final = Span("analysis", ("assistantfinal",))
"""Harmony without its special tokens, which some servers drop."""


def is_bare(text: str, place: int, *, last: bool) -> bool | None:
    """Whether an answer that begins at `place` begins with the bare name of a channel; None:
    only more of the text can tell."""
    end = place + len(BARE.opening)
    begins = text[place : end + 1]
    if len(begins) <= len(BARE.opening):
        return None if not last and BARE.opening.startswith(begins) else False
    letter = begins[-1]
    return begins.startswith(BARE.opening) and letter.isalpha() and not letter.islower()


# What stands behind a tag that is spoken of: the sentence goes on, or a mark that quotes it
# ends. A backslash is the line's end where the text is JSON's.
_SENTENCE: Final = frozenset(".,;:!?…)]}'\"`’”»›/\\|&%=+-–—~。，、；：！？」』）")


def is_text(character: str) -> bool:
    """Whether what begins with it behind a tag is what the tag parts from thinking."""
    return not (character.isspace() or character in _SENTENCE)
