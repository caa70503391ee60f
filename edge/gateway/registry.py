"""The devices of all users: who is connected where, and what goes from one to others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from edge.access.budgets import Share
from edge.gateway.device import Device, Socket, Surroundings
from edge.gateway.peer_stream import Relay
from edge.gateway.ports import Others
from edge.session.events import Draining, Say
from edge.wire.error_frames import duplicate
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import DeviceHello, HomeRequest, Mutation, ServerFrame

STAND_IN: Final = ""
"""What a user's REST calls run on while no device is connected; no device has this id."""

RECONNECT_MS: Final = 1_000
"""About when a client may come back after a goaway, in milliseconds."""


def send_away() -> Draining:
    """A goaway; no two clients are to come back at the same moment."""
    return Draining(round(RECONNECT_MS * random.uniform(0.5, 1.5)))  # noqa: S311 - jitter


def leave_all(relays: Mapping[str, Relay]) -> None:
    """Gives back what was found elsewhere."""
    for relay in relays.values():
        relay.leave()


@dataclass(slots=True)
class User:
    """One user's devices, by device id, the request ids that are taken, and what requests hold."""

    user_id: str
    claimed: MutableSet[str]
    share: Share
    make: Callable[[User, str], Device]
    devices: dict[str, Device] = field(default_factory=dict)

    def device(self, device_id: str) -> Device:
        """The device of this id; one that was not known has no socket yet."""
        return self.devices.get(device_id) or self.make(self, device_id)

    def tell(self, mutation: Mutation) -> None:
        """Tells every connected device but the one that it came from."""
        for device in list(self.devices.values()):
            if device.session.device_id != mutation.origin.device_id:
                told = ServerFrame()
                told.mutation.CopyFrom(mutation)
                device.feed(Say(told))

    def connected(self) -> list[Device]:
        """The devices that have a socket, the most recently active first."""
        there = [device for device in self.devices.values() if device.socket is not None]
        return sorted(there, key=lambda device: device.last_active, reverse=True)


class Claims(MutableSet[str]):
    """The request ids of a user that are running or kept here; the other edges know, too."""

    def __init__(self, user_id: str, others: Others) -> None:
        self._user_id = user_id
        self._others = others
        self._ids: set[str] = set()

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, value: str) -> None:
        """It runs here."""
        self._ids.add(value)
        self._others.claimed(self._user_id, value)

    def discard(self, value: str) -> None:
        """It is forgotten."""
        if value in self._ids:
            self._ids.discard(value)
            self._others.released(self._user_id, value)


class Devices:
    """Every device that this edge knows, by user."""

    def __init__(self, around: Surroundings, max_sockets_per_user: int) -> None:
        self._around = around
        self._max_sockets = max_sockets_per_user
        self._users: dict[str, User] = {}
        self.welcoming: dict[tuple[str, str], Socket] = {}
        """By user and device: the latest socket that said hello and has no welcome yet."""
        self.arriving: set[Socket] = set()
        """Sockets whose device is not known yet."""
        self._claiming: set[tuple[str, str]] = set()
        self.draining = False
        """Whether this edge is going away: who comes now is told so at once."""

    def __iter__(self) -> Iterator[Device]:
        return (
            device for user in list(self._users.values()) for device in list(user.devices.values())
        )

    def admit(self) -> None:
        """Raises SwitchboardError (service_unavailable) where nobody is taken in any more."""
        if self.draining:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "The server is going away."
            )

    @property
    def others(self) -> Others:
        """The other edges."""
        return self._around.others

    @property
    def running(self) -> int:
        """How many requests have not ended, over all."""
        return sum(device.session.running for device in self)

    async def elsewhere(
        self, user_id: str, socket: Socket, hello: DeviceHello
    ) -> Mapping[str, Relay] | None:
        """Relays for what the hello would resume and another edge has: run them, or leave.

        None: meanwhile a later socket of the device said hello, and this one is superseded.
        """
        key = user_id, hello.device_id
        self.welcoming[key] = socket
        relays: Mapping[str, Relay] = {}
        try:
            relays = await self._sought(user_id, hello, socket.hello_ns)
        finally:
            superseded = self.welcoming.get(key) is not socket
            if not superseded:
                del self.welcoming[key]
        if superseded:
            leave_all(relays)
        return None if superseded else relays

    async def _sought(self, user_id: str, hello: DeviceHello, hello_ns: int) -> Mapping[str, Relay]:
        device = self.find(user_id, hello.device_id)
        known = [
            request_id
            for request_id in hello.resume.requests
            if device is not None and device.session.owns(request_id)
        ]
        return await self._around.others.resume(user_id, hello, hello_ns, known)

    @asynccontextmanager
    async def claim(self, user_id: str, request_id: str) -> AsyncIterator[None]:
        """Begin a request inside. Raises SwitchboardError (duplicate_request) where one of this
        id runs or is kept, or is about to begin, here or at another edge."""
        key = user_id, request_id
        if key in self._claiming or self._is_claimed(user_id, request_id):
            raise duplicate()
        self._claiming.add(key)
        try:
            if not await self._around.others.claim(user_id, request_id):
                raise duplicate()
            try:
                yield
            finally:
                if not self._is_claimed(user_id, request_id):  # it never began
                    self._around.others.released(user_id, request_id)
        finally:
            self._claiming.discard(key)

    def _is_claimed(self, user_id: str, request_id: str) -> bool:
        user = self._users.get(user_id)
        return user is not None and request_id in user.claimed

    @property
    def unfinished(self) -> bool:
        """Whether going away now would lose something.

        Where there are other edges, a device may still fetch by way of them what it has not had.
        """
        owing = not self.others.alone and any(device.session.owing for device in self)
        return owing or self.running > 0

    def attach(
        self, user_id: str, socket: Socket, hello: DeviceHello, relays: Mapping[str, Relay]
    ) -> Device | None:
        """The device that now speaks through `socket`; None where the user has too many."""
        user = self._user(user_id)
        known = user.devices.get(hello.device_id)
        others = [each for each in user.connected() if each is not known]
        if len(others) >= self._max_sockets:
            leave_all(relays)
            return None
        device = user.device(hello.device_id)
        device.attach(socket, hello, relays)
        self._around.others.arrived(user_id, hello.device_id, socket.hello_ns)
        if self.draining:
            device.feed(send_away())
        return device

    def find(self, user_id: str, device_id: str) -> Device | None:
        """A device that this edge knows."""
        user = self._users.get(user_id)
        return user.devices.get(device_id) if user else None

    def arrived_elsewhere(self, user_id: str, device_id: str, hello_ns: int) -> list[str]:
        """The device said hello to another edge; returns requests that it cannot resume by name.

        Where its hello here is the later one, the other edge is told so, and nothing happens.
        """
        device = self.find(user_id, device_id)
        if device is None:
            return []
        if device.socket is not None and not device.leave(hello_ns):
            self._around.others.arrived(user_id, device_id, device.socket.hello_ns)
            return []
        return device.session.unheard

    def tell(self, user_id: str, mutation: Mutation) -> None:
        """A change that was made by way of another edge."""
        if user := self._users.get(user_id):
            user.tell(mutation)

    def latest(self, user_id: str) -> Device | None:
        """The most recently active of the user's connected devices."""
        user = self._users.get(user_id)
        return next(iter(user.connected()), None) if user else None

    def spend(self, user_id: str) -> None:
        """Counts a request beside the sockets. Raises SwitchboardError (rate_limited)."""
        self._around.requests.spend(user_id, asyncio.get_running_loop().time())

    async def chat(
        self, user_id: str, request: HomeRequest, collect: Callable[[ServerFrame], None]
    ) -> None:
        """Runs a request of REST with the user's most recently active device, wherever it is.

        Raises SwitchboardError (duplicate_request), or AioRpcError where the edge that has the
        device is lost meanwhile.
        """
        async with self.claim(user_id, request.request_id):
            latest = self.latest(user_id)
            idle_s = latest.idle_s if latest else None
            frames = await self._around.others.chat(user_id, request, idle_s)
            if frames is None:
                self.for_chat(user_id).ask(request, collect)
        for frame in frames or ():
            collect(frame)

    def for_chat(self, user_id: str) -> Device:
        """The user's most recently active device; with none connected, one stand-in."""
        return self.latest(user_id) or self._user(user_id).device(STAND_IN)

    def of(self, user_id: str) -> list[Device]:
        """All devices of a user."""
        user = self._users.get(user_id)
        return list(user.devices.values()) if user else []

    def _user(self, user_id: str) -> User:
        if user_id not in self._users:
            others = self._around.others
            self._users[user_id] = User(
                user_id, Claims(user_id, others), Share(self._around.pool), self._new
            )
            others.joined(user_id)
        return self._users[user_id]

    def _new(self, user: User, device_id: str) -> Device:
        def forget(device: Device) -> None:
            if user.devices.get(device_id) is device:
                del user.devices[device_id]
            if not user.devices and self._users.get(user.user_id) is user:
                del self._users[user.user_id]
                self._around.others.left(user.user_id)

        device = Device(user, device_id, self._around, forget, draining=self.draining)
        user.devices[device_id] = device
        return device
