"""The other edges, as the devices of this one see them. This is what it is like without any;
`Peers` finds them (edge/cluster/peers.py).

Whatever fails is as if nobody were there: nothing raises but where it says so.
"""

from collections.abc import Collection, Mapping

from edge.gateway.peer_stream import Relay
from switchboard.v3.frames_pb2 import ClientFrame, DeviceHello, HomeRequest, Mutation, ServerFrame


class Others:
    """No other edges: nobody is told, and nobody answers."""

    alone = True

    def joined(self, user_id: str) -> None:
        """This edge has something of this user."""

    def left(self, user_id: str) -> None:
        """It has nothing any more."""

    def claimed(self, user_id: str, request_id: str) -> None:
        """This edge runs or keeps this request."""

    def released(self, user_id: str, request_id: str) -> None:
        """It does not any more."""

    def changed(self, user_id: str, mutation: Mutation) -> None:
        """Tells the user's devices elsewhere."""

    def arrived(self, user_id: str, device_id: str, hello_ns: int) -> None:
        """A device said hello here, then: its older sockets elsewhere are superseded."""

    def revoked(self, user_id: str, family_id: str | None) -> None:
        """A family logged out; None: the user is gone."""

    async def claim(self, user_id: str, request_id: str) -> bool:
        """Whether this edge may run this request: no other one does, and none will.

        What was claimed must be released, whatever becomes of it.
        """
        return True

    async def resume(
        self, user_id: str, hello: DeviceHello, hello_ns: int, known: Collection[str]
    ) -> Mapping[str, Relay]:
        """A relay for each request of the hello, but for the `known`, that another edge has."""
        return {}

    async def deliver(
        self, user_id: str, device_id: str, frame: ClientFrame, *, spoiled: bool
    ) -> list[ServerFrame] | None:
        """Hands a result to the edge that called, or a cancel to the one that runs the request;
        returns its errors. None: no edge did. `spoiled`: it was refused for its form.

        Raises AioRpcError where that edge is lost meanwhile, or slow.
        """
        return None

    async def heir(self, user_id: str) -> str | None:
        """The user's most recently active device at another edge."""
        return None

    def offer(self, user_id: str, device_id: str, request_id: str) -> None:
        """Tells the edge that has this device to read a request of here for it."""

    async def chat(
        self, user_id: str, request: HomeRequest, idle_s: float | None
    ) -> list[ServerFrame] | None:
        """Runs a request where a device was active less than `idle_s` ago (None: ever).

        None: nowhere. Raises AioRpcError where that edge is lost meanwhile.
        """
        return None
