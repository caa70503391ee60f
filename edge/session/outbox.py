"""What a socket may send next: frames of no request first, then a frame of each request
in turn, so that none delays another (PROTOCOL §4.3)."""

from collections import deque
from typing import Protocol

from switchboard.v3.frames_pb2 import ServerFrame


class Source(Protocol):
    """One request's frames, in order."""

    @property
    def ready(self) -> bool:
        """Whether a frame could leave now."""
        ...

    def next(self) -> ServerFrame:
        """The next frame to leave, numbered; only while `ready`."""
        ...


class Outbox:
    """The queue before a socket's writer; frames of requests wait in their answers."""

    def __init__(self) -> None:
        self._control: deque[tuple[ServerFrame, int]] = deque()
        self._turn: deque[Source] = deque()
        self.control_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._control or self._turn)

    def say(self, frame: ServerFrame) -> None:
        """Adds a frame of no request: ready, error, mutation, pong, goaway."""
        size = frame.ByteSize()
        self._control.append((frame, size))
        self.control_bytes += size

    def wake(self, answer: Source) -> None:
        """This answer may have something to send."""
        if answer.ready and answer not in self._turn:
            self._turn.append(answer)

    def next(self) -> ServerFrame | None:
        """The next frame to leave, numbered; None where there is none after all."""
        if self._control:
            frame, size = self._control.popleft()
            self.control_bytes -= size
            return frame
        while self._turn:
            answer = self._turn.popleft()
            if answer.ready:  # or it was taken back or forgotten meanwhile
                frame = answer.next()
                self.wake(answer)
                return frame
        return None

    def clear(self) -> None:
        """The socket is gone: what was for it alone is, too."""
        self._control.clear()
        self._turn.clear()
        self.control_bytes = 0
