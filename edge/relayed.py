"""A request that another edge runs, as it passes through here to its device.

Its frames have their numbers and their clocks there; here they only wait for the socket.
Nothing is kept: when the socket goes, the other edge still has everything.
"""

from collections import deque
from dataclasses import dataclass

from edge.outbox import Outbox
from switchboard.v3.frames_pb2 import ServerFrame


@dataclass(frozen=True, slots=True)
class Link:
    """The other way round: another edge reads a request of here, for a device with `features`."""

    outbox: Outbox
    features: frozenset[str]


class Relayed:
    """The frames of one request that came and have not left. `seq`: of the last that came."""

    def __init__(self, request_id: str, seq: int) -> None:
        self.request_id = request_id
        self.seq = seq
        self.ended = False
        self.calls: set[str] = set()
        self.waiting_bytes = 0
        self._waiting: deque[tuple[ServerFrame, int]] = deque()

    def __repr__(self) -> str:
        state = "ended" if self.ended else "running"
        return f"Relayed({self.request_id} {state} seq={self.seq} waiting={len(self._waiting)})"

    @property
    def ready(self) -> bool:
        """Whether a frame could leave now."""
        return bool(self._waiting)

    def say(self, frame: ServerFrame) -> None:
        """Takes the next frame of the request."""
        match frame.WhichOneof("frame"):
            case "tool_call":
                self.calls.add(frame.tool_call.call_id)
            case "data_request":
                self.calls.add(frame.data_request.query_id)
            case "stream_end":
                self.ended = True
        self.seq = getattr(frame, frame.WhichOneof("frame") or "").seq
        size = frame.ByteSize()
        self._waiting.append((frame, size))
        self.waiting_bytes += size

    def next(self) -> ServerFrame:
        """The next frame to leave; only while `ready`."""
        frame, size = self._waiting.popleft()
        self.waiting_bytes -= size
        return frame
