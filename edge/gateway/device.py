"""One device of one user: the shell around its pure session.

It carries out what the session decides, towards the socket, the router and the other
edges, and lives on between sockets while the session has something to keep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, assert_never
from uuid import uuid4

import grpc

from edge import metrics
from edge.access.budgets import Pool
from edge.access.rate_limit import Buckets, too_fast
from edge.gateway.peer_stream import Relay
from edge.gateway.ports import Others
from edge.gateway.router_stream import Bridge
from edge.session.device_session import Session
from edge.session.events import (
    Abandoned,
    Answered,
    Asked,
    Attached,
    Broken,
    Collected,
    Detached,
    Drop,
    Effect,
    FanOut,
    Finish,
    Inherited,
    Input,
    Joined,
    Leave,
    Linked,
    Offered,
    Open,
    Orphaned,
    Pass,
    Passed,
    Produced,
    Received,
    Refused,
    RelayLost,
    Resumed,
    Say,
    Seek,
    Spoiled,
    Tell,
    Tick,
    Unlink,
    Unlinked,
)
from edge.session.limits import Limits
from edge.wire.error_frames import refusal_of, unknown_call
from runtime import logs
from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.edge_pb2 import AttachStart
from switchboard.v3.errors_pb2 import CloseCode, ErrorCode
from switchboard.v3.frames_pb2 import (
    DeviceHello,
    DeviceReady,
    HomeRequest,
    ServerFrame,
)
from switchboard.v3.router_pb2 import ConverseStart

if TYPE_CHECKING:
    from edge.gateway.registry import User
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

log = logging.getLogger(__name__)


class Socket(Protocol):
    """What a device needs of the connection that it has now."""

    @property
    def family_id(self) -> str:
        """The family of refresh tokens behind it."""
        ...

    @property
    def hello_ns(self) -> int:
        """When its hello came, in nanoseconds since 1970."""
        ...

    def wake(self) -> None:
        """There is something to send."""
        ...

    def stop(self, code: CloseCode.ValueType) -> None:
        """Close it, for this reason."""
        ...


class Reader(Protocol):
    """What a device needs of the link by which another edge reads one of its requests."""

    def wake(self) -> None:
        """There is something to send."""
        ...

    def take_over(self) -> None:
        """The device reads elsewhere from now on."""
        ...


SOUGHT: Final = 16
"""For so many results at once the edge that called is looked for."""

WAIT_S: Final = 1.0
"""How long one result more has to wait, in seconds."""

_UNREACHED: Final = SwitchboardError(
    ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "The part of the server that asked was not reached."
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every device of this edge works with."""

    router: RouterServiceAsyncStub
    limits: Limits
    ready: DeviceReady
    deadline_s: float
    requests: Buckets
    pool: Pool
    others: Others


class Device:
    """One device of one user, with or without a socket."""

    def __init__(
        self,
        user: User,
        device_id: str,
        around: Surroundings,
        on_idle: Callable[[Device], None],
        *,
        draining: bool = False,
    ) -> None:
        self.user = user
        self.socket: Socket | None = None
        self.last_active = 0.0
        self._around = around
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._bridges: dict[str, Bridge] = {}
        self._collectors: dict[str, Callable[[ServerFrame], None]] = {}
        self._readers: dict[str, Reader] = {}
        self._relays: dict[str, Relay] = {}
        self._sought: dict[tuple[str, bool], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self.session = Session(
            user_id=user.user_id,
            device_id=device_id,
            limits=around.limits,
            ready=around.ready,
            claimed=user.claimed,
            share=user.share,
            pace=lambda now: around.requests.take(user.user_id, now),
            new_id=lambda: str(uuid4()),
            alone=around.others.alone,
            draining=draining,
        )

    def __repr__(self) -> str:
        return f"Device({self.session!r}, {len(self._bridges)} bridges)"

    def feed(self, event: Input) -> None:
        """Lets the session decide about an event, and carries out what it decides."""
        for effect in self.session.feed(event, self._loop.time()):
            self._perform(effect)
        self._look()

    def aside(self, event: Received | Spoiled) -> list[ServerFrame]:
        """The same for a frame that came by way of another edge; returns the errors about it."""
        effects = self.session.feed(event, self._loop.time())
        for effect in effects:
            self._perform(effect)
        self._look()
        return [effect.frame for effect in effects if isinstance(effect, Answered)]

    def take(self, budget: int, link: str | None = None) -> list[ServerFrame]:
        """What the socket, or a request's link, may send now, about `budget` bytes of it."""
        frames = self.session.take(self._loop.time(), budget, link)
        self._look_for_room()
        return frames

    def attach(self, socket: Socket, hello: DeviceHello, relays: Mapping[str, Relay]) -> None:
        """A socket takes over; an older one is closed. `relays`: of what runs elsewhere."""
        if self.socket is not None:
            self.socket.stop(CloseCode.CLOSE_CODE_SUPERSEDED)
        self.socket = socket
        self.touch()
        self.feed(Attached(hello, relays.keys()))
        for request_id, relay in relays.items():
            self._relay(request_id, relay)

    def leave(self, hello_ns: int) -> bool:
        """The device is connected to another edge since then: a socket here is superseded.

        False: the socket here is the later one, and stays. 0 is later than all.
        """
        if self.socket is None:
            return True
        if 0 < hello_ns < self.socket.hello_ns:
            return False
        self.socket.stop(CloseCode.CLOSE_CODE_SUPERSEDED)
        self.detach(self.socket)
        return True

    def join(self, request_id: str, relay: Relay) -> None:
        """Reads a request of REST that runs at another edge; with no socket here, not."""
        if self.socket is None or request_id in self._relays:
            relay.leave()
            return
        self.feed(Joined(request_id))
        self._relay(request_id, relay)

    def link(self, request_id: str, start: AttachStart, reader: Reader) -> bool:
        """Another edge reads a request from now on; False: it cannot be given whole, or the
        device reads it here by now."""
        if not self.leave(start.hello_unix_ns):
            return False
        if older := self._readers.pop(request_id, None):
            older.take_over()
            self.feed(Unlinked(request_id))
        self.feed(Linked(request_id, start.after_seq, frozenset(start.features)))
        if not self.session.linked(request_id):
            return False
        self._readers[request_id] = reader
        reader.wake()
        return True

    def unlink(self, request_id: str, reader: Reader) -> None:
        """This reader is gone; one that took over before stays."""
        if self._readers.get(request_id) is reader:
            del self._readers[request_id]
            self.feed(Unlinked(request_id))

    def detach(self, socket: Socket) -> None:
        """This socket is gone; one that took over before stays."""
        if self.socket is socket:
            self.socket = None
            self.feed(Detached())

    @property
    def idle_s(self) -> float:
        """How long ago the device did something, in seconds."""
        return self._loop.time() - self.last_active

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
                self.user.tell(mutation)
                self._around.others.changed(self.user.user_id, mutation)
            case Collected(request_id, frame):
                self._collected(request_id, frame)
            case Orphaned(request_id):
                self._begin(self._hand_over(request_id))
            case Unlink(request_id):
                if reader := self._readers.pop(request_id, None):
                    reader.take_over()
            case Pass(request_id, frame, spoiled):
                if relay := self._relays.get(request_id):
                    relay.tell(frame, spoiled=spoiled)
            case Leave(request_id):
                if relay := self._relays.pop(request_id, None):
                    relay.leave()
            case Seek():
                self._seek(effect)
            case Answered():
                pass  # `aside` returns it
            case _:
                assert_never(effect)

    def _relay(self, request_id: str, relay: Relay) -> None:
        def over(_: object) -> None:
            if self._relays.get(request_id) is relay:
                del self._relays[request_id]

        def heard(event: Passed | RelayLost) -> None:
            if self._relays.get(request_id) is relay:
                self.feed(event)

        self._relays[request_id] = relay
        task = relay.run(heard, lambda: self.session.has_room(request_id))
        task.add_done_callback(over)

    def _seek(self, said: Seek) -> None:
        """Finds the edge that made the call, or runs the request, beside what else goes on.

        A result that comes again meanwhile is ignored: the first one wins.
        """
        frame = said.frame
        id_ = frame.tool_result.call_id or frame.data_response.query_id or frame.cancel.request_id
        key = id_, said.spoiled  # the right answer may follow one that was refused
        if key in self._sought:
            return
        if len(self._sought) >= SOUGHT:
            self._refuse(said, too_fast(WAIT_S))
            return
        task = self._sought[key] = asyncio.create_task(self._deliver(said))
        task.add_done_callback(lambda _: self._sought.pop(key))

    async def _deliver(self, said: Seek) -> None:
        user_id, device_id = self.user.user_id, self.session.device_id
        try:
            errors = await self._around.others.deliver(
                user_id, device_id, said.frame, spoiled=said.spoiled
            )
        except grpc.aio.AioRpcError:
            self._refuse(said, _UNREACHED)
            return
        if errors is None and not said.frame.HasField("cancel"):
            self._refuse(said, unknown_call())
        for error in errors or ():
            self.feed(Say(error))

    def _refuse(self, said: Seek, error: SwitchboardError) -> None:
        if not said.spoiled:  # that one was refused before
            kind = said.frame.WhichOneof("frame") or ""
            self.feed(Say(refusal_of(error, kind, getattr(said.frame, kind))))

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

    async def _hand_over(self, request_id: str) -> None:
        """Gives a request of REST whose device is gone to another one, wherever that is."""
        elsewhere: str | None = None
        if not self.user.connected():
            elsewhere = await self._around.others.heir(self.user.user_id)
        if here := self.user.connected():  # one may have come meanwhile
            self._bequeath(request_id, here[0].session.device_id)
        elif elsewhere is None:
            self.feed(Abandoned(request_id))
        else:
            self._bequeath(request_id, elsewhere)
            self._around.others.offer(self.user.user_id, elsewhere, request_id)

    def _bequeath(self, request_id: str, heir: str) -> None:
        if heir == self.session.device_id:
            self.feed(Offered(request_id))
        elif left := self.session.bequeath(request_id, self._loop.time()):
            self.user.device(heir).inherit(
                left, self._collectors.pop(request_id, None), self._bridges.pop(request_id, None)
            )
        else:
            self.feed(Abandoned(request_id))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def inherit(
        self, left: Inherited, collect: Callable[[ServerFrame], None] | None, bridge: Bridge | None
    ) -> None:
        """Goes on with a request of REST whose own device is gone."""
        request_id = left.request_id
        if collect is not None:
            self._collectors[request_id] = collect
        if bridge is not None:
            self._bridges[request_id] = bridge
            bridge.hand_over(self._heard, lambda: self.session.has_room(request_id))
            bridge.task.add_done_callback(lambda _: self._closed(request_id))
        self.feed(left)

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
        for request_id, reader in self._readers.items():
            if self.session.link_ready(request_id):
                reader.wake()
        self._look_for_room()
        self._set_alarm()
        if self.session.idle and not self._bridges:
            self._on_idle(self)

    def _look_for_room(self) -> None:
        for bridge in self._bridges.values():
            bridge.look()
        for relay in self._relays.values():
            relay.look()

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
