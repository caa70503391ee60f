"""The frames of a WebSocket, followed through its bytes. Pure.

A message may come in any number of fragments, and nothing is heard of it before its last: so
fragments of no bytes could go on for ever, each at the cost of a frame, and so could a message
of which a byte comes now and then.
"""

from typing import Final

MOST: Final = 4_096
"""So many fragments may make a message: one of a MiB in pieces of 256 bytes."""

_FIN: Final = 0x80
_CONTROL: Final = 0x08
_MASKED: Final = 0x80
_LENGTH_BYTES: Final = {126: 2, 127: 8}


class Fragments:
    """What came of a message that has not ended: `count` fragments. `under_way`: whether a
    message, or a frame, has begun."""

    __slots__ = ("_head", "_left", "_started", "count")

    def __init__(self) -> None:
        self.count = 0
        self._started = False  # a message, by a fragment that was not its last
        self._head = b""  # of a frame
        self._left = 0  # of a frame's payload

    @property
    def under_way(self) -> bool:
        """Whether something is to come yet."""
        return self._started or bool(self._head) or self._left > 0

    @property
    def too_many(self) -> bool:
        """Whether this is no message."""
        return self.count > MOST

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream; after too many fragments, none of them."""
        data, self._head, at = self._head + data, b"", 0
        while at < len(data) and not self.too_many:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            size = _head_size(data, at)
            if size is None or at + size > len(data):
                self._head = data[at:]
                return
            self._begin(data[at], data, at)
            at += size

    def _begin(self, first: int, data: bytes, at: int) -> None:
        flag = data[at + 1] & 0x7F
        more = _LENGTH_BYTES.get(flag, 0)
        self._left = int.from_bytes(data[at + 2 : at + 2 + more], "big") if more else flag
        if first & _CONTROL:
            return  # they may stand between the fragments of a message
        self._started = not first & _FIN
        self.count = self.count + 1 if self._started else 0


def _head_size(data: bytes, at: int) -> int | None:
    """How long the head of the frame is that begins here; None where its second byte is to come."""
    if at + 2 > len(data):
        return None
    second = data[at + 1]
    return 2 + _LENGTH_BYTES.get(second & 0x7F, 0) + (4 if second & _MASKED else 0)
