"""What the router is told of a request as it starts."""

from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.frames_pb2 import DeviceHello, HomeRequest, PopupRequest
from switchboard.v3.router_pb2 import ConverseStart


def start_of(
    asked: HomeRequest | PopupRequest,
    hello: DeviceHello | None,
    *,
    user_id: str,
    device_id: str,
    session_id: str,
) -> ConverseStart:
    """`hello`: of the device's socket of now; None: no device is there to run tools.

    `session_id` is the conversation of a request that names none.
    """
    known = hello or DeviceHello()
    home = isinstance(asked, HomeRequest)
    start = ConverseStart(
        user_id=user_id,
        device_id=device_id,
        session_id=asked.session_id or session_id,
        surface=Surface.SURFACE_HOME if home else Surface.SURFACE_POPUP,
        message=asked.message,
        conversation_history=asked.conversation_history,
        tools=known.tools if known.HasField("tools") else None,
        timezone=known.timezone if known.HasField("timezone") else None,
        device_connected=hello is not None,
        wants_activity="activity" in known.features,
        quoted=asked.quoted,
    )
    if isinstance(asked, PopupRequest):
        start.scope.CopyFrom(asked.scope)
    return start
