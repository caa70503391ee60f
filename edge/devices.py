"""The devices of all users: who is connected where, and what goes from one to others.

A `Device` is the shell around one pure session: it carries out what the session
decides, and lives on between sockets while the session has something to keep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, assert_never
from uuid import uuid4

from edge import metrics
from edge.bridge import Bridge
from edge.events import (
    Asked,
    Attached,
    Broken,
    Collected,
    Detached,
    Drop,
    Effect,
    FanOut,
    Finish,
    Input,
    Open,
    Produced,
    Refused,
    Resumed,
    Say,
    Tell,
    Tick,
)
from edge.limits import Limits
from edge.rates import Buckets
from edge.session import Session
from runtime import logs
from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.errors_pb2 import CloseCode, ErrorCode
from switchboard.v3.frames_pb2 import DeviceHello, DeviceReady, HomeRequest, Mutation, ServerFrame
from switchboard.v3.router_pb2 import ConverseStart

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

log = logging.getLogger(__name__)


class Socket(Protocol):
    """What a device needs of the connection that it has now."""

    @property
    def family_id(self) -> str:
        """The family of refresh tokens behind it."""
        ...

    def wake(self) -> None:
        """There is something to send."""
        ...

    def stop(self, code: CloseCode.ValueType) -> None:
        """Close it, for this reason."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every device of this edge works with."""

    router: RouterServiceAsyncStub
    limits: Limits
    ready: DeviceReady
    deadline_s: float
    requests: Buckets


class Device:
    """One device of one user, with or without a socket."""

    def __init__(
        self,
        user: User,
        device_id: str,
        around: Surroundings,
        on_idle: Callable[[Device], None],
    ) -> None:
        self.user = user
        self.socket: Socket | None = None
        self.last_active = 0.0
        self._around = around
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._bridges: dict[str, Bridge] = {}
        self._collectors: dict[str, Callable[[ServerFrame], None]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self.session = Session(
            user_id=user.user_id,
            device_id=device_id,
            limits=around.limits,
            ready=around.ready,
            claimed=user.claimed,
            pace=lambda now: around.requests.take(user.user_id, now),
            new_id=lambda: str(uuid4()),
        )

    def __repr__(self) -> str:
        return f"Device({self.session!r}, {len(self._bridges)} bridges)"

    def feed(self, event: Input) -> None:
        """Lets the session decide about an event, and carries out what it decides."""
        for effect in self.session.feed(event, self._loop.time()):
            self._perform(effect)
        self._look()

    def take(self, budget: int) -> list[ServerFrame]:
        """What the socket may send now, about `budget` bytes of it."""
        frames = self.session.take(self._loop.time(), budget)
        for bridge in self._bridges.values():
            bridge.look()
        return frames

    def attach(self, socket: Socket, hello: DeviceHello) -> None:
        """A socket takes over; an older one is closed."""
        if self.socket is not None:
            self.socket.stop(CloseCode.CLOSE_CODE_SUPERSEDED)
        self.socket = socket
        self.touch()
        self.feed(Attached(hello))

    def detach(self, socket: Socket) -> None:
        """This socket is gone; one that took over before stays."""
        if self.socket is socket:
            self.socket = None
            self.feed(Detached())

    def touch(self) -> None:
        """The device did something just now."""
        self.last_active = self._loop.time()

    def ask(self, request: HomeRequest, collect: Callable[[ServerFrame], None]) -> None:
        """Runs a request of REST; `collect` gets its frames, the end last."""
        self._collectors[request.request_id] = collect
        self.feed(Asked(request, device_connected=self.socket is not None))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Open(request_id, start):
                self._open(request_id, start)
            case Tell(request_id, said):
                if bridge := self._bridges.get(request_id):
                    bridge.tell(said)
            case Finish(request_id, end):
                if bridge := self._bridges.get(request_id):
                    bridge.finish(end)
            case Drop(request_id, end):
                if bridge := self._bridges.get(request_id):
                    bridge.drop(end)
            case Refused(surface, end):
                metrics.refused(self._surface(surface, end.request_id), end)
            case Resumed(resumed, lost):
                metrics.RESUMES.labels("resumed").inc(resumed)
                metrics.RESUMES.labels("lost").inc(lost)
            case FanOut(mutation):
                metrics.mutation(mutation)
                self.user.fan_out(mutation, self)
            case Collected(request_id, frame):
                self._collected(request_id, frame)
            case _:
                assert_never(effect)

    def _surface(self, surface: Surface.ValueType, request_id: str) -> str:
        return "rest" if request_id in self._collectors else metrics.surface_of(surface)

    def _open(self, request_id: str, start: ConverseStart) -> None:
        with logs.bind(user_id=start.user_id, device_id=start.device_id, request_id=request_id):
            bridge = Bridge(
                self._around.router,
                request_id,
                start,
                surface=self._surface(start.surface, request_id),
                deadline_s=self._around.deadline_s,
                on_event=self._heard,
                has_room=lambda: self.session.has_room(request_id),
            )
        self._bridges[request_id] = bridge
        bridge.task.add_done_callback(lambda _: self._closed(request_id))

    def _heard(self, event: Produced | Broken) -> None:
        try:
            self.feed(event)
        except Exception:
            # Whatever is wrong with one request must not reach the others.
            log.exception("a frame of the router could not be passed on")
            error = SwitchboardError(ErrorCode.ERROR_CODE_INTERNAL, "A fault of the server's own.")
            self.feed(Broken(event.request_id, error.to_proto()))

    def _closed(self, request_id: str) -> None:
        self._bridges.pop(request_id, None)
        self._look()

    def _collected(self, request_id: str, frame: ServerFrame) -> None:
        ends = frame.HasField("stream_end")
        collect = (
            self._collectors.pop(request_id, None) if ends else self._collectors.get(request_id)
        )
        if collect is not None:
            collect(frame)

    def _look(self) -> None:
        """After each change: who has to be woken, and when time is due next."""
        if self.socket is not None:
            if self.session.overflowing:
                self.socket.stop(CloseCode.CLOSE_CODE_SLOW_CONSUMER)
            elif self.session.ready:
                self.socket.wake()
        for bridge in self._bridges.values():
            bridge.look()
        self._set_alarm()
        if self.session.idle and not self._bridges:
            self._on_idle(self)

    def _set_alarm(self) -> None:
        due = self.session.alarm
        if self._alarm is not None and self._alarm.when() == due:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if due is not None:
            self._alarm = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.feed(Tick())


@dataclass(slots=True)
class User:
    """One user's devices, by device id, and the request ids that are taken."""

    user_id: str
    devices: dict[str, Device] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)

    def fan_out(self, mutation: Mutation, origin: Device) -> None:
        """Tells every other connected device; there is no echo."""
        for device in list(self.devices.values()):
            if device is not origin:
                told = ServerFrame()
                told.mutation.CopyFrom(mutation)
                device.feed(Say(told))

    def connected(self) -> list[Device]:
        """The devices that have a socket, the most recently active first."""
        there = [device for device in self.devices.values() if device.socket is not None]
        return sorted(there, key=lambda device: device.last_active, reverse=True)


class Devices:
    """Every device that this edge knows, by user."""

    def __init__(self, around: Surroundings, max_sockets_per_user: int) -> None:
        self._around = around
        self._max_sockets = max_sockets_per_user
        self._users: dict[str, User] = {}

    def __iter__(self) -> Iterator[Device]:
        return (
            device for user in list(self._users.values()) for device in list(user.devices.values())
        )

    @property
    def running(self) -> int:
        """How many requests have not ended, over all."""
        return sum(device.session.running for device in self)

    def attach(self, user_id: str, socket: Socket, hello: DeviceHello) -> Device | None:
        """The device that now speaks through `socket`; None where the user has too many."""
        user = self._user(user_id)
        device = user.devices.get(hello.device_id)
        others = [known for known in user.connected() if known is not device]
        if len(others) >= self._max_sockets:
            return None
        if device is None:
            device = self._new(user, hello.device_id, hello.device_id)
        device.attach(socket, hello)
        return device

    def spend(self, user_id: str) -> None:
        """Counts a request beside the sockets. Raises SwitchboardError (rate_limited)."""
        self._around.requests.spend(user_id, asyncio.get_running_loop().time())

    def for_chat(self, user_id: str) -> Device:
        """The user's most recently active device; with none connected, a stand-in."""
        user = self._user(user_id)
        if there := user.connected():
            return there[0]
        return self._new(user, f"rest:{uuid4()}", "")

    def of(self, user_id: str) -> list[Device]:
        """All devices of a user."""
        user = self._users.get(user_id)
        return list(user.devices.values()) if user else []

    def _user(self, user_id: str) -> User:
        return self._users.setdefault(user_id, User(user_id))

    def _new(self, user: User, key: str, device_id: str) -> Device:
        def forget(device: Device) -> None:
            if user.devices.get(key) is device:
                del user.devices[key]
            if not user.devices and self._users.get(user.user_id) is user:
                del self._users[user.user_id]

        device = Device(user, device_id, self._around, forget)
        user.devices[key] = device
        return device
