"""Logout, and the end of an account, as an edge carries them out (PROTOCOL §7)."""

from typing import Final

from edge.access.tokens import Tokens
from edge.gateway.registry import Devices
from edge.session.events import Erased
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import CloseCode, ErrorCode

_GONE: Final = SwitchboardError(
    ErrorCode.ERROR_CODE_CANCELLED, "The account was deleted."
).to_proto()


def sign_out(tokens: Tokens, devices: Devices, user_id: str, family_id: str | None) -> None:
    """Refuses a family's tokens and closes its sockets; None: the user is gone, all ends."""
    tokens.revoke(family_id or user_id)
    for device in devices.of(user_id):
        if family_id is None:
            device.feed(Erased(_GONE))
        if device.socket is not None and family_id in (None, device.socket.family_id):
            device.socket.stop(CloseCode.CLOSE_CODE_UNAUTHENTICATED)
