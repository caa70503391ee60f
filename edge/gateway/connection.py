"""One socket: its hello, one task that reads, one that writes, and why it closes
(PROTOCOL §1, §5).

The writer sends what the device's session hands out, so what waits for a slow client
waits there, unnumbered, and nowhere else.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType
from aiohttp.http import WSMessageTextBytes

from edge import metrics
from edge.access.effort import FAILED_S, LARGE_BYTES, Effort
from edge.access.rate_limit import Bucket, Rate, too_fast
from edge.access.tokens import Identity, Tokens
from edge.gateway.device import Device
from edge.gateway.registry import Devices, leave_all
from edge.gateway.websocket import CLOSE_S, WebSocket
from edge.session.events import Received, Say, Spoiled
from edge.session.limits import check_hello
from edge.settings import EdgeSettings
from edge.wire import codec
from edge.wire.error_frames import (
    REFUSALS,
    close_reason,
    refusal,
    refusal_of,
    refusal_unread,
    spoiled,
)
from edge.wire.json_mapping import InvalidFrame
from runtime import logs
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import CloseCode, ErrorCode, FrameRef
from switchboard.v3.frames_pb2 import ClientFrame, DeviceHello, ServerFrame

log = logging.getLogger(__name__)

BATCH_BYTES: Final = 64 * 1024
"""About so much is handed to the transport at once: what a stall is measured on."""

FLUSH_S: Final = 1.0
"""How long what is decided may still be sent before a close, in seconds."""

Message = WSMessage | WSMessageTextBytes

FRAME_BYTES: Final = 16 * 1024
"""A frame counts as one for each so many bytes of it."""

FRAME_BURST_S: Final = 10
"""The frames of so many seconds may come at once."""

STRANGER_BYTES: Final = 16 * 1024
"""The largest hello of who has shown no token yet."""

PING_S: Final = 3e-5
"""What a ping of the WebSocket itself costs, in seconds of CPU."""

HUSH_S: Final = 0.02
"""After a frame that came too fast the next is read so much later, in seconds: to say no to each
at once would cost as much as they do, and what waits in its own pipe slows down who sends it."""

PATIENCE: Final = Rate(burst=100, per_s=1)
"""So many frames that come too fast are answered by an error; then the socket is closed."""


class Connection:
    """A socket from its upgrade to its close. `identity`: of the header's token, if any;
    `address`: of its client, which counts until a user is known."""

    def __init__(
        self,
        ws: WebSocket,
        *,
        settings: EdgeSettings,
        tokens: Tokens,
        devices: Devices,
        effort: Effort,
        identity: Identity | None,
        address: str,
        abort: Callable[[], None],
    ) -> None:
        self._ws = ws
        self._settings = settings
        self._tokens = tokens
        self._devices = devices
        self._effort = effort
        self._identity = identity
        self._address = address
        self._abort = abort
        self._device: Device | None = None
        self._hello = DeviceHello()
        self.hello_ns = 0
        self._code: int | None = None
        self._reason = b""
        self._output = asyncio.Event()
        self._stopped = asyncio.Event()
        self._due: asyncio.Timeout | None = None  # while the hello is waited for
        self._expiry: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        frames = settings.frames_per_second
        self._frames = Bucket(Rate(frames * FRAME_BURST_S, frames), self._loop.time())
        self._too_fast = False
        self._patience = Bucket(PATIENCE, self._loop.time())

    def __repr__(self) -> str:
        return f"Connection({self._hello.device_id!r}, close={self._code}, {self._device!r})"

    @property
    def family_id(self) -> str:
        """The family of refresh tokens behind the socket's token."""
        return self._identity.family_id if self._identity else ""

    @property
    def gone(self) -> bool:
        """Whether its connection is known to be lost."""
        return self._ws.gone

    def wake(self) -> None:
        """There is something to send."""
        self._output.set()

    def stop(self, code: CloseCode.ValueType, reason: bytes = b"") -> None:
        """Closes the socket; the first reason counts."""
        if self._code is None:
            self._code, self._reason = code, reason
            self._stopped.set()
            if self._due is not None and not self._due.expired():
                self._due.reschedule(self._loop.time())

    async def serve(self) -> None:
        """Everything, until the socket is closed."""
        metrics.SOCKETS.inc()
        self._devices.arriving.add(self)
        try:
            welcome = await self._open()
            self._devices.arriving.discard(self)
            if welcome and self._device and self._identity:
                await self._talk(self._device, self._identity.user_id)
        finally:
            self._devices.arriving.discard(self)
            if self._expiry is not None:
                self._expiry.cancel()
            if self._device is not None:
                self._device.detach(self)
            metrics.SOCKETS.dec()
            metrics.closed(self._code, self._ws.close_code)
            await self._close()

    # The hello.

    async def _open(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.hello_timeout_s) as self._due:
                message = await self._receive()
        except TimeoutError:
            self.stop(CloseCode.CLOSE_CODE_HELLO_TIMEOUT)
            return False
        finally:
            self._due = None
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return False  # closed by the other side
        if self._is_too_much():
            return False
        try:
            # However short, it takes as long as a large text: tokens are checked, a device made.
            async with self._effort.turn(self._sender, LARGE_BYTES + 1):
                frame = self._first(message)
        except REFUSALS as error:
            self._effort.charge(self._sender, FAILED_S)
            await self._send([refusal(error, FrameRef(type="device_hello"))])
            self.stop(CloseCode.CLOSE_CODE_BAD_HELLO)
            return False
        return await self._welcome(frame.device_hello)

    def _first(self, message: Message) -> ClientFrame:
        if self._identity is None and len(message.data) > STRANGER_BYTES:
            raise InvalidFrame("", f"is larger than {STRANGER_BYTES} bytes before a token")
        with self._effort.spent(self._sender):
            frame = self._decode(message)
        if not frame.HasField("device_hello"):
            raise InvalidFrame("type", "the first frame must be a device_hello")
        check_hello(frame.device_hello)
        return frame

    def _is_too_much(self) -> bool:
        """Whether the sender has to wait; then the socket closes."""
        if wait := self._effort.wait(self._sender):
            self.stop(CloseCode.CLOSE_CODE_RATE_LIMITED, close_reason(too_fast(wait)))
        return wait > 0

    @property
    def _sender(self) -> str:
        return self._identity.user_id if self._identity else self._address

    async def _welcome(self, hello: DeviceHello) -> bool:
        try:
            identity = self._checked(hello)
        except SwitchboardError:
            self._effort.charge(self._sender, FAILED_S)
            self.stop(CloseCode.CLOSE_CODE_UNAUTHENTICATED)
            return False
        self._identity, self._hello, self.hello_ns = identity, hello, time.time_ns()
        if self._is_too_much():
            return False
        self._watch_expiry(identity)
        relays = await self._devices.elsewhere(identity.user_id, self, hello)
        if relays is None:
            self.stop(CloseCode.CLOSE_CODE_SUPERSEDED)
            return False
        if self._code is not None or self.gone:  # nobody would read what was found
            leave_all(relays)
            return False
        if not self._still_holds(identity):
            leave_all(relays)
            self.stop(CloseCode.CLOSE_CODE_UNAUTHENTICATED)
            return False
        self._device = self._devices.attach(identity.user_id, self, hello, relays)
        if self._device is None:
            self.stop(CloseCode.CLOSE_CODE_RATE_LIMITED)
            return False
        return True

    def _checked(self, hello: DeviceHello) -> Identity:
        known = self._identity
        if hello.HasField("token"):
            identity = self._tokens.check(hello.token)
            if known is None or known.user_id == identity.user_id:
                return identity
        elif known is not None and self._still_holds(known):
            return known
        raise SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, "Another user's token.")

    def _still_holds(self, identity: Identity) -> bool:
        """Whether a token that was good once may still be used: the user may have signed out."""
        return self._tokens.holds(identity, self._settings.token_grace_s)

    def _watch_expiry(self, identity: Identity) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        left = self._tokens.left(identity) + self._settings.token_grace_s
        self._expiry = self._loop.call_later(left, self.stop, CloseCode.CLOSE_CODE_UNAUTHENTICATED)

    # The talk.

    async def _talk(self, device: Device, user_id: str) -> None:
        with logs.bind(user_id=user_id, device_id=self._hello.device_id):
            reader = asyncio.create_task(self._read(device))
            stopped = asyncio.create_task(self._stopped.wait())
            writer = self._writer = asyncio.create_task(self._write(device))
            try:
                await asyncio.wait({reader, writer, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # The writer is never cancelled while the socket is open: the close would
                # wait for the same flow control, and be cancelled with it.
                await _end(reader, stopped)
            if reader.done() and not reader.cancelled() and (why := reader.exception()):
                log.error("a socket failed by a fault of our own", exc_info=why)
                self.stop(CloseCode.CLOSE_CODE_INTERNAL)
            self._stopped.set()
            self.wake()
            await asyncio.wait({writer}, timeout=FLUSH_S)

    async def _read(self, device: Device) -> None:
        while self._code is None and await self._read_one(device):
            pass

    async def _read_one(self, device: Device) -> bool:
        """Reads a message and does what it asks for; False: the other side has closed. Nothing of
        it stays with the socket while the next is waited for."""
        message = await self._receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return False
        device.touch()
        if self._effort.wait(self._sender):  # it is told so, and stands in no lane
            self._frame(device, message)
            return True
        async with self._effort.turn(self._sender, len(message.data)):
            if len(message.data) > LARGE_BYTES:
                request = await self._large_frame(device, message)
            else:
                request = self._frame(device, message)
        if request is not None:
            await self._ask(device, request)
        return True

    def _frame(self, device: Device, message: Message) -> ClientFrame | None:
        """Does what a message asks for; a request is handed back: its id must be claimed first."""
        with self._effort.spent(self._sender, len(message.data)):
            try:
                self._spend(len(message.data))
                frame = self._decode(message)
            except REFUSALS as error:
                self._refuse(device, message, error)
                return None
            return self._take(device, message, frame)

    async def _large_frame(self, device: Device, message: Message) -> ClientFrame | None:
        """The same, a step at a time."""
        try:
            self._spend(len(message.data))
            frame = await self._effort.run(self._sender, self._decoding(message))
        except REFUSALS as error:
            with self._effort.spent(self._sender):
                self._refuse(device, message, error)
            return None
        with self._effort.spent(self._sender):
            return self._take(device, message, frame)

    def _take(self, device: Device, message: Message, frame: ClientFrame) -> ClientFrame | None:
        if frame.HasField("device_hello"):
            try:
                self._again(device, frame)
            except REFUSALS as error:
                self._refuse(device, message, error)
        elif _is_named_request(frame):
            return frame
        else:
            device.feed(Received(frame))
        return None

    def _refuse(self, device: Device, message: Message, error: Exception) -> None:
        refused = refusal_unread(error, message.data)
        device.feed(Say(refused))
        if result := spoiled(error, refused):
            device.feed(Spoiled(result))

    async def _ask(self, device: Device, frame: ClientFrame) -> None:
        kind = frame.WhichOneof("frame") or ""
        body = getattr(frame, kind)
        try:
            async with self._devices.claim(device.user.user_id, body.request_id):
                with self._effort.spent(self._sender):
                    device.feed(Received(frame))
        except SwitchboardError as error:
            device.feed(Say(refusal_of(error, kind, body)))

    async def _receive(self) -> Message:
        """The next message, or what stands for the socket's end."""
        while self._code is None:
            if self._too_fast:
                self._too_fast = False
                await asyncio.sleep(HUSH_S)
            await asyncio.sleep(0)  # of what has come already, receive() waits for nobody
            message = await self._ws.receive()
            if message.type is WSMsgType.ERROR and self._ws.close_code in CloseCode.values():
                self._code = self._ws.close_code  # it closed already, for a reason of ours
            if message.type not in (WSMsgType.PING, WSMsgType.PONG):
                return message
            # A ping too many is not answered.
            with suppress(SwitchboardError):
                self._spend(len(message.data))
                self._effort.charge(self._sender, PING_S)
                if message.type is WSMsgType.PING:
                    await self._ws.pong(message.data)
        return WSMessage(WSMsgType.CLOSING, None, None)

    def _spend(self, size: int) -> None:
        """Counts a frame. Raises SwitchboardError (rate_limited); in the end, closes."""
        now = self._loop.time()
        cost = 1 + size // FRAME_BYTES
        if wait := self._effort.wait(self._sender) or self._frames.take(now, cost):
            self._too_fast = True
            error = too_fast(wait)
            if self._patience.take(now, cost):
                self.stop(CloseCode.CLOSE_CODE_RATE_LIMITED, close_reason(error))
            raise error

    def _decode(self, message: Any) -> ClientFrame:
        return codec.all_of(self._decoding(message))

    def _decoding(self, message: Any) -> codec.Steps[ClientFrame]:
        if message.type is WSMsgType.BINARY:
            raise InvalidFrame("", "a frame is a text message")
        return (yield from codec.decoding(message.data, ClientFrame))

    def _again(self, device: Device, frame: ClientFrame) -> None:
        hello = frame.device_hello
        check_hello(hello)
        if hello.device_id != self._hello.device_id:
            raise InvalidFrame("device_id", "is another device's")
        try:
            self._identity = self._checked(hello)
        except SwitchboardError:
            self.stop(CloseCode.CLOSE_CODE_UNAUTHENTICATED)
            return
        self._watch_expiry(self._identity)
        device.feed(Received(frame))

    async def _write(self, device: Device) -> None:
        try:
            while True:
                await self._output.wait()
                sent = await self._send_batch(device)
                if not sent and self._stopped.is_set():
                    return
                if not sent:
                    self._output.clear()
        except ConnectionError:
            return  # the reader sees it, too
        except Exception:
            log.exception("a frame could not be sent")
            self.stop(CloseCode.CLOSE_CODE_INTERNAL)

    async def _send_batch(self, device: Device) -> bool:
        """Sends what may leave now; False: nothing did."""
        frames = device.take(BATCH_BYTES) if device.socket is self else []
        if frames:
            stall = self._loop.call_later(
                self._settings.stall_s, self.stop, CloseCode.CLOSE_CODE_SLOW_CONSUMER
            )
            await self._send(frames)
            stall.cancel()
        return bool(frames)

    async def _send(self, frames: list[ServerFrame]) -> None:
        for text in [codec.encode(frame) for frame in frames]:
            await self._ws.send_frame(text, WSMsgType.TEXT)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S + 1):
                code = self._code or CloseCode.CLOSE_CODE_INTERNAL
                await self._ws.close(code=code, message=self._reason)
        except ConnectionError:
            pass
        except TimeoutError:
            # It had its time to read; what is buffered would be kept for ever.
            self._abort()
        finally:
            await _end(self._writer)


async def _end(*tasks: asyncio.Task[Any] | None) -> None:
    there = [task for task in tasks if task is not None]
    for task in there:
        task.cancel()
    if there:
        await asyncio.wait(there)


def _is_named_request(frame: ClientFrame) -> bool:
    """Under an id of the server's own making nobody else can ask, so it need not be claimed."""
    kind = frame.WhichOneof("frame")
    return kind in ("home_request", "popup_request") and bool(getattr(frame, kind).request_id)
