"""A model's answer, token by token, into text for people and JSON objects.

    stream = JsonStream()
    for token in tokens:
        events += stream.feed(token)
    events += stream.close()

The rules (PROTOCOL §6):

- A `{` before a key may open an object. A probe reads it until it is known what it is; what is no
  block of ours is text, as it is written.
- Objects may stand one after another, on lines, separated by commas, in an array, in a fence, in
  an object (`{"blocks": […]}`), in a string: what is around them is dropped (see `prose`).
- Where two texts meet (prose and the content of text objects alike) a paragraph break is kept.
- The same text gives the same events however it is cut, up to how texts are cut.

What cannot be understood yet is bounded: some characters (`_tail`), the glue that is held, and what
a probe has read; that is read once more when it is known what it is. Pure: text in, events out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from formatter_svc.json_object import BlockReader, Skipped
from formatter_svc.lookahead import DATA_TYPES
from formatter_svc.probe import Probe
from formatter_svc.prose import MAX_HELD, Prose
from formatter_svc.reasons import Reason
from formatter_svc.strings import NEED_MORE, end_of
from formatter_svc.text_reader import TextReader
from formatter_svc.texts import Event, Kind, Texts

__all__ = ["MAX_HELD", "JsonStream"]

# Objects within the content of texts, and answers within strings; deeper ones are text.
MAX_NESTED: Final = 6

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ENCODED: Final = re.compile(r'[^"\\\n]+')
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


class JsonStream(Prose):
    """Incremental; `close` once, at the end."""

    def __init__(
        self,
        kinds: Collection[str] = DATA_TYPES,
        texts: Texts | None = None,
        level: int = 0,
    ) -> None:
        super().__init__(texts or Texts())
        self._kinds = kinds
        self._level = level

    def _reset(self) -> None:
        super()._reset()
        self._tail = ""  # too short to tell what it is
        self._begun = False
        self._text = ""
        self._readers: list[Probe | TextReader | BlockReader] = []
        self._probed_at: int | None = None  # where in the text at hand the probe's object begins
        self._inner: JsonStream | None = None  # of a string that holds an answer
        self._bare = False  # that string has no quotes, and ends with its line

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece and returns what it brought."""
        if not text.isascii():
            text = _SURROGATE.sub("\ufffd", text)
        self.paint_in(text)
        return self._texts.take()

    def close(self) -> list[Event]:
        """Takes the end of the answer and returns what was waiting for it."""
        self.finish()
        return self._texts.take()

    def paint_in(self, text: str) -> None:
        """Takes a piece; what it brings stays with the texts."""
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if text:
            self._go(text, final=False)

    def finish(self) -> None:
        """Takes the end; after it, another answer may begin."""
        self._go("", final=True)
        while self._readers:
            self._readers[-1].give_up()
            self._go("", final=True)
        if self._inner:
            self._inner.finish()
        elif self._held and not self._after_object:
            self._say("")
        self._reset()

    def _go(self, text: str, final: bool) -> None:
        self._text = self._tail + text if self._tail else text
        self._probed_at = None
        i = self._settled(0)
        while i < len(self._text):
            if self._readers:
                j = self._readers[-1].read(self._text, i, final)
            elif self._inner:
                j = self._encoded(self._inner, self._text, i, final)
            else:
                j = self._outside(self._text, i, final)
            if j == NEED_MORE:
                break
            i = self._settled(j)
        self._tail = self._text[i:]

    # Objects.

    def _settled(self, i: int) -> int:
        """Does what the object at hand has come to; answers where to go on."""
        if not self._readers:
            return i
        reader = self._readers[-1]
        if not reader.ended and not reader.paused:
            return i
        if isinstance(reader, Probe):
            return self._judged(reader, i)
        if reader.ended:
            if reader.outcome:
                self._texts.add(reader.outcome)
            self._lost_end = self._lost_end or (isinstance(reader, TextReader) and reader.was_cut)
            self._over()
        else:  # an object stands for a part of a text's content
            self._readers.append(self._probe(nested=True))
            self._probed_at = i
        return i

    def _probe(self, nested: bool) -> Probe:
        sole = nested or (
            self._at_line_start() and not self._in_held_code() and not self._held_fences
        )
        probe = Probe(self._kinds, sole=sole, nested=nested)
        if len(self._readers) > MAX_NESTED:
            probe.verdict = "prose"
        return probe

    def _open_probe(self, text: str, i: int) -> int:
        self._readers.append(self._probe(nested=False))
        self._probed_at = i
        return i

    def _judged(self, probe: Probe, i: int) -> int:
        match probe.verdict:
            case None:
                return i
            case "prose":
                return self._as_written(probe, i)
            case "cut":
                self._open_object()
                self._texts.add(Skipped(Reason.UNCLOSED, None, probe.size))
                self._over()
                return i
            case "data":
                reader: TextReader | BlockReader = BlockReader(probe.kind)
            case "text":
                reader = TextReader(_Content(self))
        self._open_object()
        self._readers[-1] = reader
        return self._back(probe, i)

    def _back(self, probe: Probe, i: int) -> int:
        """To where the probe's object begins."""
        if self._probed_at is None:
            self._text = "".join(probe.raw) + self._text[i:]
            return 0
        return self._probed_at

    def _as_written(self, probe: Probe, i: int) -> int:
        if self._in_held_code() and not self._nested():
            self._readers.pop()
            self._say("")
            return self._back(probe, i)
        raw = "".join(probe.raw)
        probe.raw.clear()
        self._probed_at = None
        if raw:
            self._say(raw)
        if probe.ended:
            self._readers.pop()
            if self._readers:
                self._went_on()
        return i

    def _nested(self) -> bool:
        return len(self._readers) > 1

    def _kind(self) -> Kind:
        return "content" if self._nested() else "prose"

    def _open_object(self) -> None:
        if self._nested():
            self._texts.seam()
            return
        if "\n" in self._held or "\r" in self._held:
            self._texts.line_break()
        self._arrays += self._held_arrays
        self._fences += self._held_fences
        self._backticks = self._held_backticks
        self._let_go()
        self._texts.seam()

    def _over(self) -> None:
        """The object at hand is over."""
        self._readers.pop()
        self._texts.seam()
        if self._readers:
            self._went_on()
        else:
            self._after_object = True
            self._after_fence = 0

    def _went_on(self) -> None:
        parent = self._readers[-1]
        if isinstance(parent, TextReader):
            parent.go_on()

    # Answers within strings.

    def _open_encoded(self, bare: bool) -> None:
        if self._level == MAX_NESTED:
            self._say("" if bare else '"')
            return
        self._bare = bare
        self._open_object()
        self._inner = self.inner()

    def _encoded(self, inner: JsonStream, text: str, i: int, final: bool) -> int:
        j = end_of(_ENCODED, text, i)
        if j > i:
            inner.paint_in(text[i:j])
            return j
        char = text[i]
        if char == ("\n" if self._bare else '"'):
            inner.finish()
            self._inner = None
            self._texts.seam()
            self._after_object = True
            return i + (not self._bare)
        if char != "\\":
            inner.paint_in(char)
            return i + 1
        if i + 1 == len(text):
            if final:
                inner.paint_in("\\")
            return i + 1 if final else NEED_MORE
        char = text[i + 1]
        inner.paint_in("\\u" if char == "u" else _ESCAPED.get(char, char))
        return i + 2

    def inner(self) -> JsonStream | None:
        """A stream for an answer that a text's content holds; None where it is too deep."""
        if self._level == MAX_NESTED:
            return None
        return JsonStream(self._kinds, self._texts, self._level + 1)

    def content(self, text: str) -> None:
        """Takes text of a content."""
        self._texts.say("content", text)

    def part(self) -> None:
        """Another text begins."""
        self._texts.seam()


class _Content:
    """Where the content of a text goes: to the texts, or to a stream of its own."""

    def __init__(self, stream: JsonStream, inner: bool = False) -> None:
        self._stream = stream
        self._inner = stream.inner() if inner else None

    def paint(self, text: str) -> None:
        if self._inner:
            self._inner.paint_in(text)
        else:
            self._stream.content(text)

    def part(self) -> None:
        self._stream.part()

    def encoded(self) -> _Content:
        return _Content(self._stream, inner=True)

    def end(self) -> None:
        if self._inner:
            self._inner.finish()
