"""Several edges as one: who has what, by NATS; the frames themselves, by gRPC.

Subjects (tokens made safe):
- `switchboard.request.<user>.<request>`: heard by the edge that runs or keeps the request, or
  is about to run it. Nobody there is known at once, without a time-out.
- `switchboard.user.<user>`: heard by each edge that has something of the user.
- `switchboard.revoked`: heard by every edge.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.message import DecodeError

from edge.cluster.nats import NOBODY, Broker, Silent, subject
from edge.gateway.peer_stream import Relay
from edge.gateway.ports import Others
from edge.gateway.revocation import sign_out
from runtime import tracing
from switchboard.v3.edge_pb2 import (
    AttachStart,
    CallSought,
    ChatRequest,
    DeliverRequest,
    DeviceArrived,
    DeviceSought,
    EdgeNote,
    EdgeReply,
    RequestOffered,
    TokensRevoked,
)
from switchboard.v3.edge_pb2_grpc import EdgeServiceStub
from switchboard.v3.frames_pb2 import ClientFrame, DeviceHello, HomeRequest, Mutation, ServerFrame

if TYPE_CHECKING:
    from edge.access.tokens import Tokens
    from edge.gateway.device import Device
    from edge.gateway.registry import Devices
    from switchboard.v3.edge_pb2_grpc import EdgeServiceAsyncStub

log = logging.getLogger(__name__)

ANSWER_S: Final = 3.0
"""How long an edge that listens may take to answer, in seconds: one that is killed does not
listen, and is known at once; this is for one that is busy, frozen, or cut off."""

MORE_S: Final = 0.05
"""How long to wait for others once the first has answered, in seconds."""

REACH_S: Final = 3.0
"""How long an edge may take to attach a reader, or to take a result in, in seconds."""

ASKS: Final = 4
"""So often it is asked who has a request, while who answers does not."""

RESUMES: Final = 64
"""So many requests of a hello are looked for elsewhere."""

LARGE: Final = 512 * 1024
"""A change may have 1 MiB, a message of NATS no more than that; JSON shrinks well."""

_REVOKED: Final = subject("revoked")


class Peers(Others):
    """The other edges. `dial` makes a channel to one. Nothing is answered before `meet`."""

    alone = False

    def __init__(
        self,
        broker: Broker,
        dial: Callable[[str], grpc.aio.Channel],
        *,
        deadline_s: float,
    ) -> None:
        self._broker = broker
        self._deadline_s = deadline_s
        self._reply = EdgeReply()
        self._channels = Channels(dial)
        self._devices: Devices | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Peers({self._reply.address}, {self._broker!r}, {self._channels!r})"

    def meet(self, devices: Devices, tokens: Tokens, address: str) -> None:
        """Begins: what others tell reaches these; they find this edge at `address`."""
        self._reply.address = address
        self._devices = devices

        def revoked(note: bytes) -> None:
            told = _parsed(note).revoked
            family = told.family_id if told.HasField("family_id") else None
            sign_out(tokens, devices, told.user_id, family)

        self._broker.listen(_REVOKED, revoked)
        self._broker.start()

    async def part(self) -> None:
        """Ends."""
        await self._broker.stop()
        await self._channels.close()

    # What this edge tells.

    def joined(self, user_id: str) -> None:
        """Hears what concerns this user."""
        self._broker.listen(_user(user_id), lambda note: self._hear(user_id, _parsed(note)))

    def left(self, user_id: str) -> None:
        """Hears it no longer."""
        self._broker.ignore(_user(user_id))

    def claimed(self, user_id: str, request_id: str) -> None:
        """Answers for this request."""
        reply = self._reply.SerializeToString()
        self._broker.listen(_request(user_id, request_id), lambda _: reply)

    def released(self, user_id: str, request_id: str) -> None:
        """Answers for it no longer."""
        self._broker.ignore(_request(user_id, request_id))

    def changed(self, user_id: str, mutation: Mutation) -> None:
        """Tells the user's devices elsewhere."""
        self._tell(_user(user_id), EdgeNote(mutation=mutation))

    def arrived(self, user_id: str, device_id: str, hello_ns: int) -> None:
        """Tells where the device is now."""
        arrived = DeviceArrived(device_id=device_id, hello_unix_ns=hello_ns)
        self._tell(_user(user_id), EdgeNote(arrived=arrived))

    def revoked(self, user_id: str, family_id: str | None) -> None:
        """Tells every edge."""
        self._tell(_REVOKED, EdgeNote(revoked=TokensRevoked(user_id=user_id, family_id=family_id)))

    def _tell(self, on: str, note: EdgeNote) -> None:
        told = note.SerializeToString()
        if len(told) > LARGE:
            told = EdgeNote(deflated=zlib.compress(told, 1)).SerializeToString()
        self._broker.tell(on, told)

    # What this edge asks.

    async def claim(self, user_id: str, request_id: str) -> bool:
        """Answers for this request before it begins, and asks whether another edge does.

        The broker takes both in their order, so of two edges that claim at once one at least
        hears of the other. Who has had its answer has the request. While neither has, the lesser
        address has it, and the other one gives way whatever its own answer will be.
        """
        on, ours = _request(user_id, request_id), self._reply.SerializeToString()
        decided = yielded = False

        def rival(note: bytes) -> bytes:
            nonlocal yielded
            asks = EdgeReply.FromString(note).address
            if decided or self._reply.address < asks:
                return ours
            yielded = yielded or bool(asks)
            return NOBODY

        await self._broker.listen_now(on, rival)
        taken = await self._is_taken(on, ours) or yielded
        decided = not taken
        if taken:
            self._broker.ignore(on)
        return not taken

    async def _is_taken(self, on: str, ours: bytes) -> bool:
        patience = ANSWER_S
        for number in range(ASKS):
            try:
                answer = await self._broker.ask(on, ours, patience)
            except Silent:
                if number == ASKS - 1 or patience < ANSWER_S:
                    return True  # it is there, if not well: running it twice would be worse
                # Or it was killed, and the broker had not noticed as it was asked. It has by now.
                patience = MORE_S
                continue
            if answer != NOBODY:
                return answer is not None
            # An edge that gives way, or gave it up just now, may have been faster than one
            # that has it. It will not listen much longer.
            await asyncio.sleep(MORE_S)
        return False

    async def resume(
        self, user_id: str, hello: DeviceHello, hello_ns: int, known: Collection[str]
    ) -> dict[str, Relay]:
        """Finds who runs them, and attaches."""
        sought = [each for each in hello.resume.requests if each not in known][:RESUMES]
        attaching = (self._attach(user_id, hello, hello_ns, each) for each in sought)
        found = await asyncio.gather(*attaching)
        return {
            request_id: relay
            for request_id, relay in zip(sought, found, strict=True)
            if relay is not None
        }

    async def _attach(
        self, user_id: str, hello: DeviceHello, hello_ns: int, request_id: str
    ) -> Relay | None:
        try:
            owner = await self._owner(user_id, request_id)
        except Silent:
            owner = None
        if owner is None:
            return None
        start = AttachStart(
            user_id=user_id,
            device_id=hello.device_id,
            after_seq=hello.resume.requests[request_id],
            features=hello.features,
            hello_unix_ns=hello_ns,
        )
        relay = Relay(self._channels.stub(owner), request_id, start)
        return relay if await relay.open(REACH_S) else None

    async def _owner(self, user_id: str, request_id: str) -> str | None:
        answer = await self._broker.ask(_request(user_id, request_id), b"", ANSWER_S)
        return EdgeReply.FromString(answer).address or None if answer else None

    async def deliver(
        self, user_id: str, device_id: str, frame: ClientFrame, *, spoiled: bool
    ) -> list[ServerFrame] | None:
        """Finds who made the call, or runs the request, and hands in what is said of it."""
        try:
            if frame.HasField("cancel"):
                address = await self._owner(user_id, frame.cancel.request_id)
            else:
                call_id = frame.tool_result.call_id or frame.data_response.query_id
                address = await self._caller(user_id, device_id, call_id)
        except Silent:  # none of them has it
            return None
        if address is None:
            return None
        said = DeliverRequest(user_id=user_id, device_id=device_id, frame=frame, spoiled=spoiled)
        edge = self._channels.stub(address)
        response = await edge.Deliver(said, timeout=REACH_S, metadata=tracing.carried())
        return list(response.frames)

    async def _caller(self, user_id: str, device_id: str, call_id: str) -> str | None:
        sought = EdgeNote(call_sought=CallSought(device_id=device_id, call_id=call_id))
        answer = await self._broker.ask(_user(user_id), sought.SerializeToString(), ANSWER_S)
        return EdgeReply.FromString(answer).address or None if answer else None

    async def heir(self, user_id: str) -> str | None:
        """Asks all which device of the user they have."""
        best = await self._latest(user_id)
        return best.device_id or None if best else None

    def offer(self, user_id: str, device_id: str, request_id: str) -> None:
        """Tells all."""
        offered = RequestOffered(
            address=self._reply.address, device_id=device_id, request_id=request_id
        )
        self._tell(_user(user_id), EdgeNote(offered=offered))

    async def chat(
        self, user_id: str, request: HomeRequest, idle_s: float | None
    ) -> list[ServerFrame] | None:
        """Finds who has the device, and runs the request there."""
        best = await self._latest(user_id)
        if best is None or (idle_s is not None and idle_s * 1000 <= best.idle_ms):
            return None
        response = await self._channels.stub(best.address).Chat(
            ChatRequest(user_id=user_id, request=request),
            timeout=self._deadline_s,
            metadata=tracing.carried(),
        )
        return list(response.frames)

    async def _latest(self, user_id: str) -> EdgeReply | None:
        """Of the edges that have a device of the user, the one where it was active last."""
        sought = EdgeNote(device_sought=DeviceSought()).SerializeToString()
        answers = await self._broker.ask_all(_user(user_id), sought, ANSWER_S, MORE_S)
        replies = [EdgeReply.FromString(answer) for answer in answers]
        there = [reply for reply in replies if reply.HasField("idle_ms")]
        return min(there, key=lambda reply: reply.idle_ms, default=None)

    # What this edge hears.

    def _hear(self, user_id: str, note: EdgeNote) -> bytes | None:
        if self._devices is None:
            return None
        match note.WhichOneof("note"):
            case "mutation":
                self._devices.tell(user_id, note.mutation)
            case "arrived":
                device_id = note.arrived.device_id
                arrived = self._devices.arrived_elsewhere
                for request_id in arrived(user_id, device_id, note.arrived.hello_unix_ns):
                    self.offer(user_id, device_id, request_id)
            case "offered":
                self._begin(self._join(user_id, note.offered))
            case "device_sought":
                return self._reply_of(self._devices.latest(user_id)).SerializeToString()
            case "call_sought":
                sought = note.call_sought
                device = self._devices.find(user_id, sought.device_id)
                if device is not None and device.session.called(sought.call_id):
                    return self._reply.SerializeToString()
        return None

    def _reply_of(self, latest: Device | None) -> EdgeReply:
        reply = EdgeReply(address=self._reply.address)
        if latest is not None:
            reply.idle_ms = round(latest.idle_s * 1000)
            reply.device_id = latest.session.device_id
        return reply

    async def _join(self, user_id: str, offered: RequestOffered) -> None:
        device = self._devices.find(user_id, offered.device_id) if self._devices else None
        if device is None or device.socket is None:
            return
        start = AttachStart(
            user_id=user_id,
            device_id=offered.device_id,
            hello_unix_ns=device.socket.hello_ns,
        )
        relay = Relay(self._channels.stub(offered.address), offered.request_id, start)
        if await relay.open(REACH_S):
            device.join(offered.request_id, relay)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Channels:
    """A channel to each edge that was needed; gRPC lets those rest that are not any more."""

    def __init__(self, dial: Callable[[str], grpc.aio.Channel]) -> None:
        self._dial = dial
        self._open: dict[str, grpc.aio.Channel] = {}

    def __repr__(self) -> str:
        return f"Channels({', '.join(self._open)})"

    def stub(self, address: str) -> EdgeServiceAsyncStub:
        """The edge at this address."""
        if address not in self._open:
            self._open[address] = self._dial(address)
        stub: EdgeServiceAsyncStub = EdgeServiceStub(self._open[address])
        return stub

    async def close(self) -> None:
        """Closes all."""
        await asyncio.gather(*(channel.close() for channel in self._open.values()))


def _user(user_id: str) -> str:
    return subject("user", user_id)


def _request(user_id: str, request_id: str) -> str:
    return subject("request", user_id, request_id)


def _parsed(note: bytes) -> EdgeNote:
    """A note; one that cannot be understood, of a newer edge say, says nothing."""
    try:
        found = EdgeNote.FromString(note)
        return EdgeNote.FromString(zlib.decompress(found.deflated)) if found.deflated else found
    except (DecodeError, zlib.error):
        return EdgeNote()
