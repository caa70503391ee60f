"""A request that another edge runs, as it passes through here to its device.

Its frames have their numbers and their clocks there; here they only wait for the socket.
Nothing is kept: when the socket goes, the other edge still has everything.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from edge.session.outbox import Outbox
from edge.session.requests import numbered
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
        self.seq = max(self.seq, numbered(frame))  # calls that are pending are said again first
        size = frame.ByteSize()
        self._waiting.append((frame, size))
        self.waiting_bytes += size

    def next(self) -> ServerFrame:
        """The next frame to leave; only while `ready`."""
        frame, size = self._waiting.popleft()
        self.waiting_bytes -= size
        return frame


class Relays:
    """The requests of one device that other edges run, by their ids."""

    def __init__(self) -> None:
        self._relays: dict[str, Relayed] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._relays))

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._relays

    @property
    def running(self) -> int:
        """How many have not ended."""
        return sum(not relay.ended for relay in self._relays.values())

    @property
    def waiting_bytes(self) -> int:
        """What came and has not left yet, of all of them."""
        return sum(relay.waiting_bytes for relay in self._relays.values())

    def get(self, request_id: str) -> Relayed | None:
        """The one of this id."""
        return self._relays.get(request_id)

    def asked(self, call_id: str) -> str | None:
        """The request that a call or query belongs to."""
        found = (each for each in self._relays.values() if call_id in each.calls)
        return next((relay.request_id for relay in found), None)

    def owns(self, frame: ServerFrame) -> bool:
        """Whether a frame is of a request elsewhere."""
        body = getattr(frame, frame.WhichOneof("frame") or "")
        return getattr(body, "request_id", "") in self._relays

    def begin(self, request_id: str, seq: int) -> None:
        """Expects the frames of a request after `seq`."""
        self._relays[request_id] = Relayed(request_id, seq)

    def sweep(self) -> None:
        """Forgets what has ended and left."""
        for relay in list(self._relays.values()):
            if relay.ended and not relay.ready:
                del self._relays[relay.request_id]

    def clear(self) -> None:
        """Forgets all of them: the edges that run them keep everything."""
        self._relays.clear()
