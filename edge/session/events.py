"""What goes into a device's session and what comes out of it (edge/session/device_session.py)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from edge.session.calls import Call
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.errors_pb2 import Error
from switchboard.v3.frames_pb2 import (
    ClientFrame,
    DeviceHello,
    HomeRequest,
    Mutation,
    ServerFrame,
    StreamEnd,
)
from switchboard.v3.router_pb2 import ConverseInput, ConverseOutput, ConverseStart

# Inputs.


@dataclass(frozen=True, slots=True)
class Attached:
    """A socket of the device said its hello; an older socket has nothing to say any more.

    `relayed`: those of the requests it names that another edge runs, and passes on here.
    """

    hello: DeviceHello
    relayed: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Detached:
    """The socket is gone; what it asked runs on."""


@dataclass(frozen=True, slots=True)
class Received:
    """The device sent a frame. `aside`: by way of another edge, which is told the errors."""

    frame: ClientFrame
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Spoiled:
    """The device's answer to a call was refused for its form; the frame stands for it."""

    frame: ClientFrame
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request came beside the socket (REST): the device gets its tool frames and its end.

    With no device to ask (`device_connected` false) its tools are told so at once.
    """

    request: HomeRequest
    device_connected: bool


@dataclass(frozen=True, slots=True)
class Inherited:
    """A request of REST whose own device is gone: this device is asked from now on.

    `calls`: what is waited for; `agent` and `mutations`: what is known of it so far; `held`:
    the bytes that it holds.
    """

    request_id: str
    held: int
    agent: str | None
    mutations: Sequence[Mutation]
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class Abandoned:
    """No other device is there for a request of REST: its agent is told so."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Offered:
    """The device is at another edge, which hears of this request of REST and may read it."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Produced:
    """The router sent these for a request, in order."""

    request_id: str
    outputs: Sequence[ConverseOutput]


@dataclass(frozen=True, slots=True)
class Broken:
    """The router, or the way to it, was lost before the request's end."""

    request_id: str
    error: Error


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the device this, now, if it is there: an error, or a change made elsewhere."""

    frame: ServerFrame


@dataclass(frozen=True, slots=True)
class Draining:
    """The server is going away: no new requests. `reconnect_after_ms` in milliseconds."""

    reconnect_after_ms: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The server is gone: every request ends here and now."""

    error: Error


@dataclass(frozen=True, slots=True)
class Erased:
    """The account is gone: so do its requests, and nothing is kept of what they said."""

    error: Error


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by: what is due happens."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The device reads this request by way of another edge, from the frame after `seq` on."""

    request_id: str
    seq: int
    features: Collection[str]


@dataclass(frozen=True, slots=True)
class Unlinked:
    """That edge reads no longer; the request runs on."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Another edge passes on a request of REST, of which the device has heard nothing yet."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Passed:
    """The edge that runs this request passed these on, numbered."""

    request_id: str
    frames: Sequence[ServerFrame]


@dataclass(frozen=True, slots=True)
class RelayLost:
    """The edge that runs this request was lost, and the request with it."""

    request_id: str
    error: Error


Input = (
    Attached
    | Detached
    | Received
    | Spoiled
    | Asked
    | Inherited
    | Abandoned
    | Offered
    | Produced
    | Broken
    | Say
    | Draining
    | Stopped
    | Erased
    | Tick
    | Linked
    | Unlinked
    | Joined
    | Passed
    | RelayLost
)

# Effects.


@dataclass(frozen=True, slots=True)
class Open:
    """Open a stream to the router for this request."""

    request_id: str
    start: ConverseStart


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this to the router."""

    request_id: str
    input: ConverseInput


@dataclass(frozen=True, slots=True)
class Finish:
    """The router ended the request: let its stream run out. `end`: for who counts."""

    request_id: str
    end: StreamEnd = field(default_factory=StreamEnd, compare=False)


@dataclass(frozen=True, slots=True)
class Drop:
    """The request ended without the router: break its stream off. `end`: for who counts."""

    request_id: str
    end: StreamEnd = field(default_factory=StreamEnd, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was answered with its end at once: nothing is done, but counted."""

    surface: Surface.ValueType
    end: StreamEnd


@dataclass(frozen=True, slots=True)
class Resumed:
    """A device came back and named requests: so many go on, so many are lost."""

    resumed: int
    lost: int


@dataclass(frozen=True, slots=True)
class FanOut:
    """Send this change, its origin given, to the user's other devices."""

    mutation: Mutation


@dataclass(frozen=True, slots=True)
class Collected:
    """A frame of a request that was asked beside the socket, for who asked."""

    request_id: str
    frame: ServerFrame


@dataclass(frozen=True, slots=True)
class Orphaned:
    """The device that REST asked is gone: `bequeath` to another one, or say that none is there."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """The device reads this request here again: tell the edge that read it."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Pass on to the edge that runs this request what the device said of it."""

    request_id: str
    frame: ClientFrame
    spoiled: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """The device does not read this request here any more: leave the edge that runs it."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Seek:
    """A result of no call, or a cancel of no request, of here: find the edge that has it."""

    frame: ClientFrame
    spoiled: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """An error about a frame that came by way of another edge, for that edge."""

    frame: ServerFrame


Effect = (
    Open
    | Tell
    | Finish
    | Drop
    | Refused
    | Resumed
    | FanOut
    | Collected
    | Orphaned
    | Unlink
    | Pass
    | Leave
    | Seek
    | Answered
)
