"""PURE: server-sent events: bytes in, cut anywhere; what each event's data means out.

Lines may end in LF, CRLF or CR. Comments, `id:` and `retry:` carry nothing that is needed; of
`event:` only `error` does. Not all that calls itself a stream is one, so these are read, too:

- one event a line, with no blank lines between: a data line that is whole by itself is an event
- JSON with no `data:` before it: a line of it, or one document over any number of lines
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")

# One chunk may carry all the arguments of a call; no answer needs a line of this size.
MAX_LINE_BYTES: Final = 8 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"

Sent: TypeAlias = tuple[T | None, bool]
"""One event: what it means (None: it cannot be read), and whether it is an `event: error`."""


class SseDecoder(Generic[T]):
    """The events of one stream. `parse`: what data means; None where it is not whole."""

    def __init__(self, parse: Callable[[bytes], T | None]) -> None:
        self._parse = parse
        self._pieces: list[bytes] = []  # of a line that is not over
        self._size = 0
        self._held: list[bytes] = []  # data lines that mean nothing by themselves, so far
        self._held_size = 0
        self._document = False  # what is held is JSON without `data:`
        self._error = False  # the event that is under way is called `error`
        self._after_cr = False
        self._first = True

    def feed(self, data: bytes) -> list[Sent[T]]:
        """The events that these bytes complete. Raises ValueError past the bound."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")  # its CR ended the line already
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        head, newline, rest = data.partition(b"\n")
        self._hold(head)
        if not newline:
            return []
        lines = [self._line(), *rest.split(b"\n")]
        self._hold(lines.pop())
        events: list[Sent[T]] = []
        for line in lines:
            self._take(line, events)
        return events

    def close(self) -> list[Sent[T]]:
        """The events that the end of the stream completes."""
        events: list[Sent[T]] = []
        self._take(self._line(), events)
        self._end(events)
        return events

    def _hold(self, piece: bytes) -> None:
        if piece:
            self._size += len(piece)
            if self._size > MAX_LINE_BYTES:
                raise ValueError("a line of the stream is too long")
            self._pieces.append(piece)

    def _line(self) -> bytes:
        line = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return line

    def _take(self, line: bytes, events: list[Sent[T]]) -> None:
        if self._first:
            line = line.removeprefix(_BOM)
        if self._document:
            self._keep(line)
        elif line.startswith(b"data:"):
            self._data(line[6:] if line.startswith(b"data: ") else line[5:], events)
        elif not line:
            if self._held or self._error:
                self._end(events)
            return
        elif line.startswith(b"event:"):
            self._error = line[6:].strip() == b"error"
        elif line.lstrip()[:1] in {b"{", b"["} and line.strip().upper() != b"[DONE]":
            self._bare(line, events)
        self._first = False

    def _data(self, data: bytes, events: list[Sent[T]]) -> None:
        if self._held:
            self._keep(data)
        elif (meant := self._parse(data)) is not None:
            events.append((meant, self._error))
            self._error = False
        elif data.strip():
            self._keep(data)

    def _bare(self, line: bytes, events: list[Sent[T]]) -> None:
        if (meant := self._parse(line)) is not None:
            events.append((meant, self._error))
        elif self._first:
            self._document = True
            self._keep(line)

    def _keep(self, data: bytes) -> None:
        self._held_size += len(data)
        if self._held_size > MAX_LINE_BYTES:
            raise ValueError("an event of the stream is too long")
        self._held.append(data)

    def _end(self, events: list[Sent[T]]) -> None:
        if self._held:
            events.append((self._parse(b"\n".join(self._held)), self._error))
        elif self._error:
            events.append((None, True))
        self._held.clear()
        self._held_size, self._error, self._document = 0, False, False
