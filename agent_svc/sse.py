"""Server-sent events: bytes in, cut anywhere; the data of each event out. Pure."""

from __future__ import annotations

from typing import Final

# One chunk may carry all the arguments of a call; no answer needs a line of this size.
MAX_LINE_BYTES: Final = 8 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"


class SseDecoder:
    """The events of one stream.

    Lines may end in LF, CRLF or CR; comments, `event:`, `id:` and `retry:` lines carry
    nothing that is needed here.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of a line that is not over
        self._size = 0
        self._data: list[bytes] = []  # lines of an event that is not over
        self._after_cr = False
        self._first = True

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each event that these bytes complete. Raises ValueError past the bound."""
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
        return [event for line in lines if (event := self._take(line)) is not None]

    def close(self) -> list[bytes]:
        """The data of an event that the end of the stream left open."""
        events = [event for line in (self._line(), b"") if (event := self._take(line)) is not None]
        self._data.clear()
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

    def _take(self, line: bytes) -> bytes | None:
        if self._first:
            self._first, line = False, line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line and self._data:
            event = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data.clear()
            return event
        return None
