"""PURE: takes a model's thinking out of its answer, in whatever dress it comes.

    thinking = Thinking(opens=profile.opens_thinking)
    shown = thinking.feed(piece) + … + thinking.close()

A tag counts where the answer, or a line of it, begins with it, outside of code; a lone
`</think>` where a line ends with it. A model whose template opens the thinking for it writes
only that closing tag: what has been given out by then cannot be recalled, so such a model is
known by `late`, and from then on `opens=True` holds its answers back until the tag comes. One
that was taken for such a model by mistake is known by `endless`.
"""

from __future__ import annotations

import re
from typing import Final

from runtime.prose import Openings, Prose, Span

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
_SPANS: Final = (
    *(Span(opening, (closing,)) for opening, closing in _PAIRS),
    *_CHANNELS,
    Span("<|start_response|>"),
    Span("<|begin_of_solution|>"),
    Span("<answer>"),  # after its thinking alone
)
_OPENINGS: Final = Openings(_SPANS)

_LONE: Final = Openings([Span(closing) for _, closing in _PAIRS])
_CLOSINGS: Final = Span("", tuple(closing for _, closing in _PAIRS)).ends()
_LONGEST_CLOSING: Final = max(len(closing) for _, closing in _PAIRS)
# After special tokens were seen, these are litter wherever they stand.
_TOKENS: Final = Openings(
    [
        *_CHANNELS,
        *(
            Span(token)
            for token in ("<|end|>", "<|return|>", "<|end_response|>", "<|end_of_solution|>")
        ),
    ]
)
_WRAPPED: Final = Openings([Span("</answer>")])
# A line ends, or an answer of JSON begins right behind the tag.
_REST_OF_LINE: Final = re.compile(r"[ \t\r]*(\n|(?=\{))?")


class Thinking(Prose):
    """One answer of a model. `opens`: it begins inside its thinking, which a tag ends."""

    def __init__(self, opens: bool = False) -> None:
        super().__init__(_OPENINGS)
        self._held: list[str] | None = [] if opens else None
        self._tail = ""  # of what is held: a closing may be cut
        self._litter: tuple[Openings, ...] = ()  # what more is dropped, wherever it stands
        self._opened = opens
        self.lone = False
        """Whether a closing tag came that no opening had: the answer began inside its thinking."""
        self.late = False
        """Whether some of that was given out before the tag came."""
        self.endless = False
        """Whether `opens` was wrong: the answer is whole, and its thinking never ended."""
        self._gave = False

    def feed(self, text: str) -> str:
        """What of the answer so far is for people."""
        if self._held is None:
            given = super().feed(text)
            self._gave = self._gave or not (given == "" or given.isspace())
            return given
        seen = len(self._tail)
        text = self._tail + text
        # A whole tail begins with the character before the first place that is left to search.
        found = _CLOSINGS.search(text, int(seen == _LONGEST_CLOSING))
        if found is None:
            self._held.append(text[seen:])
            self._tail = text[-_LONGEST_CLOSING:]
            return ""
        self.hidden += sum(map(len, self._held)) + found.end() - seen
        self._held, self._tail = None, ""
        return super().feed(text[found.end() :])

    def apart(self) -> str:
        """Told that the thinking comes elsewhere: what was held back for its end is the answer."""
        if self._held is None:
            return ""
        held, self._held, self._opened = "".join(self._held), None, False
        return super().feed(held)

    def close(self, *, whole: bool = True) -> str:
        """What was held back. `whole`: the answer was not cut short, so that one which never
        said the end of its thinking did not think, and is shown."""
        if self._held is None:
            return super().close()
        held, self._held = "".join(self._held), None
        if not whole:
            self.hidden += len(held)
            return ""
        self.endless = not (held == "" or held.isspace())
        return super().feed(held) + super().close()

    def _counts(self, span: Span, end: int, last: bool) -> bool:
        return self._opened or span.opening != "<answer>"

    def _begun(self, span: Span) -> None:
        self._opened = True
        if span.opening.startswith("<|"):
            self._litter = (_TOKENS,)
        elif span.opening == "<answer>":
            self._litter = (_WRAPPED,)

    def _in_text(self, last: bool) -> bool:
        for litter in self._litter:
            match litter.at(self._text, self._at, last=last):
                case Span() as span:
                    self._begin(span, self._at + len(span.opening))
                    return True
                case "wait":
                    return False
                case None:
                    pass
        match _LONE.at(self._text, self._at, last=last):
            case Span() as span:
                return self._lone(self._at + len(span.opening), last)
            case "wait":
                return self._wait()
            case None:
                return super()._in_text(last)

    def _wait(self) -> bool:
        """What this piece has brought goes out only once the tag is known not to take it away."""
        self._keeps = True
        return False

    def _lone(self, end: int, last: bool) -> bool:
        """A closing tag that nothing opened, where a line ends with it: all before it goes."""
        rest = _REST_OF_LINE.match(self._text, end)
        ends = rest.end() if rest else end
        if not (rest and rest.group(1) is not None):
            if ends < len(self._text):  # a sentence about the tag
                self._give(end)
                return True
            if not last:
                return self._wait()
        if not self._opened:
            self.lone, self.late = True, self._gave
            self.hidden += sum(map(len, self._out))
            self._out.clear()
        self._opened = True
        self._begin(_CLOSED, end)
        return True


_CLOSED: Final = Span("")
