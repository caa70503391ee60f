"""What is left out of a frame that would be larger than a frame may be (PROTOCOL §1). Pure.

A change's `data` comes from one frame of a device, and goes out in a frame that holds more
than it: an end holds all changes of its request. Whoever is not given the data has it, or
asks for it.
"""

from typing import Final

from edge.wire.codec import MAX_FRAME_BYTES, encode
from switchboard.v3.frames_pb2 import Mutation, ServerFrame

# For the number that the frame gets as it leaves.
_ROOM: Final = 32
# JSON is no larger than so many times the message: six bytes for an escaped character, or
# the names of a change's fields.
_JSON_BY_MESSAGE: Final = 8


def fitted_end(frame: ServerFrame) -> ServerFrame:
    """A `stream_end` without the data of its changes where it is too large with it; where
    that is not enough, without the later changes, too."""
    if not _too_large(frame):
        return frame
    told = ServerFrame()
    told.CopyFrom(frame)
    changes = told.stream_end.mutations
    for change in changes:
        change.ClearField("data")
    while changes and _too_large(told):
        del changes[len(changes) * 3 // 4 :]
    return told


def fit_change(change: Mutation) -> None:
    """Leaves the data out of a change that would be too large with it."""
    if change.HasField("data") and _too_large(ServerFrame(mutation=change)):
        change.ClearField("data")


def _too_large(frame: ServerFrame) -> bool:
    most = MAX_FRAME_BYTES - _ROOM
    return frame.ByteSize() * _JSON_BY_MESSAGE > most and len(encode(frame)) > most
