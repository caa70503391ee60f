"""NATS, for finding and telling: subjects that are listened to, notes, questions.

Nothing here is needed for an answer to go on: without a broker, or while it is away, every
question is answered by "nobody", and the connection comes back by itself.
"""

import asyncio
import contextlib
import hashlib
import logging
import re
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error, SlowConsumerError

from edge import metrics

log = logging.getLogger(__name__)

Handler = Callable[[bytes], bytes | None]
"""Hears a message; what it returns is the answer, None: no answer."""

NOBODY: Final = b""
"""The answer of who does not have what is asked for."""

RECONNECT_S: Final = 0.5
"""Between two tries at one server, in seconds."""

PING_S: Final = 2
"""A broker that is frozen is noticed after three of these, in seconds."""

LOOK_S: Final = 0.6
"""After so long without an answer it is asked whether anybody listens, in seconds."""

ALIVE_S: Final = 1.0
"""How fast a broker answers that is there at all, in seconds."""

PONG_S: Final = 4 * PING_S
"""After so long no pong comes any more: the connection was given up before, in seconds."""

_SAFE: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_GONE: Final = (Error, OSError, asyncio.TimeoutError)


class _Client(Client):
    """Asks for its TLS context at each handshake."""

    def __init__(self, tls: Callable[[], ssl.SSLContext] | None) -> None:
        super().__init__()
        self._tls = tls

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """What the next handshake works with."""
        return self._tls() if self._tls else super().ssl_context


class Silent(Exception):
    """Somebody listens to this subject, and does not answer."""


def subject(*tokens: str) -> str:
    """A subject of ours. A token of other characters, a client's own word, is hashed."""
    safe = (
        token if _SAFE.match(token) else hashlib.sha256(token.encode(errors="replace")).hexdigest()
        for token in tokens
    )
    return ".".join(("switchboard", *safe))


class Broker:
    """One connection to NATS, as good as it is at the moment.

    `tls`: what a handshake works with, asked at each of them.
    """

    def __init__(
        self, servers: Sequence[str], tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._servers = list(servers)
        self._nats = _Client(tls)
        self._wanted: dict[str, Handler] = {}
        self._heard: dict[str, Subscription] = {}
        # What is to be said, in order: subjects to listen to or to leave, each once, and notes.
        self._work: asyncio.Queue[tuple[str, bytes | None]] = asyncio.Queue()
        self._unsettled: set[str] | None = None  # not reached yet: all that is wanted then
        self._tasks: list[asyncio.Task[None]] = []
        self._state = ""  # as it is counted

    def __repr__(self) -> str:
        state = "connected" if self.connected else "away"
        return f"Broker({state}, {len(self._wanted)} subjects)"

    @property
    def connected(self) -> bool:
        """Whether asking makes sense now."""
        return self._nats.is_connected

    @property
    def waiting(self) -> int:
        """How much is still to be said to the broker."""
        return self._work.qsize()

    def start(self) -> None:
        """Begins to connect; returns at once."""
        self._is("away")
        self._tasks = [asyncio.create_task(self._connect())]

    async def stop(self) -> None:
        """Ends the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._is("")
        with contextlib.suppress(*_GONE):
            await self._nats.close()

    def _is(self, state: str) -> bool:
        """Notes the state of the connection; whether it is another one."""
        before, self._state = self._state, state
        if before and before != state:
            metrics.BROKER.labels(before).dec()
        if state and before != state:
            metrics.BROKER.labels(state).inc()
        return before != state

    # Telling and hearing. What is said goes out in the order in which it was said.

    def listen(self, on: str, handler: Handler) -> None:
        """Hears a subject, also after each reconnection."""
        self._wanted[on] = handler
        self._unsettle(on)

    async def listen_now(self, on: str, handler: Handler) -> None:
        """The same; whatever is asked after this comes to the broker after it."""
        self._wanted[on] = handler
        if self._unsettled is not None:  # else all of it is, at the first connection
            with contextlib.suppress(*_GONE):
                await self._settle(on)

    def ignore(self, on: str) -> None:
        """Hears it no longer."""
        self._wanted.pop(on, None)
        self._unsettle(on)

    def _unsettle(self, on: str) -> None:
        if self._unsettled is not None and on not in self._unsettled:
            self._unsettled.add(on)
            self._put(on, None)

    def tell(self, on: str, note: bytes) -> None:
        """Tells whoever listens now, but not this edge itself; nobody waits for it."""
        if len(note) > self._nats.max_payload:
            metrics.BROKER_NOTES.labels("too_large").inc()
            log.warning("a note of %d bytes is more than the broker takes", len(note))
        elif not self.connected:
            metrics.BROKER_NOTES.labels("away").inc()
        else:
            self._put(on, note)

    def _put(self, on: str, note: bytes | None) -> None:
        self._work.put_nowait((on, note))
        metrics.BROKER_WAITING.set(self.waiting)

    async def ask(self, on: str, note: bytes, timeout_s: float) -> bytes | None:
        """The first answer; None: nobody listens. Raises Silent where who does takes longer."""
        if not self.connected:
            metrics.BROKER_QUESTIONS.labels("away").inc()
            return None
        try:
            answer = await self._ask(on, note, timeout_s)
        except Silent:
            metrics.BROKER_QUESTIONS.labels("silent").inc()
            raise
        metrics.BROKER_QUESTIONS.labels("nobody" if answer is None else "answered").inc()
        return answer

    async def _ask(self, on: str, note: bytes, timeout_s: float) -> bytes | None:
        # Its own time-out is never the first: what is waited for is told below.
        request = self._nats.request(on, note, timeout=LOOK_S + ALIVE_S + 2 * timeout_s)
        answering = asyncio.ensure_future(request)
        try:
            await asyncio.wait({answering}, timeout=LOOK_S)
            if not answering.done():
                # A busy machine's clock runs ahead of what its sockets hold. The broker says
                # that nobody listens before this pong, if that is so: else somebody does.
                if not await self._alive():
                    return None
                await asyncio.wait({answering}, timeout=timeout_s)
            if not answering.done():
                raise Silent
            return answering.result().data
        except _GONE:  # that nobody listens is among them
            return None
        finally:
            # Who asked may be gone by now, and the answer that nobody listens an error.
            answering.add_done_callback(_read)
            answering.cancel()

    async def ask_all(self, on: str, note: bytes, first_s: float, more_s: float) -> list[bytes]:
        """What all who listen answer: `first_s` for the first, `more_s` more for the others."""
        if not self.connected:
            metrics.BROKER_QUESTIONS.labels("away").inc()
            return []
        answers = await self._ask_all(on, note, first_s, more_s)
        metrics.BROKER_QUESTIONS.labels("answered" if answers else "nobody").inc()
        return answers

    async def _ask_all(self, on: str, note: bytes, first_s: float, more_s: float) -> list[bytes]:
        answers: list[bytes] = []
        try:
            inbox = await self._nats.subscribe(self._nats.new_inbox())
            try:
                await self._nats.publish(on, note, reply=inbox.subject)
                first = await inbox.next_msg(first_s)
                if first.headers:  # nobody listens
                    return []
                answers.append(first.data)
                async with asyncio.timeout(more_s):
                    while True:
                        answers.append((await inbox.next_msg(more_s)).data)
            finally:
                await inbox.unsubscribe()
        except _GONE:
            pass
        return answers

    async def _alive(self) -> bool:
        # Never cancelled, and timed out only where no pong can follow: nats-py 2.16 ends its
        # reader, without a word, at a pong that nobody waits for any more.
        pong = asyncio.ensure_future(self._nats.flush(PONG_S))
        pong.add_done_callback(_read)
        await asyncio.wait({pong}, timeout=ALIVE_S)
        return pong.done() and not pong.cancelled() and pong.exception() is None

    # The connection.

    async def _connect(self) -> None:
        await self._nats.connect(
            self._servers,
            name="switchboard edge",
            no_echo=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_S,  # type: ignore[arg-type] # a float does
            connect_timeout=2,
            ping_interval=PING_S,
            max_outstanding_pings=2,
            error_cb=self._failed,
            disconnected_cb=self._lost,
            reconnected_cb=self._back,
        )
        log.info("the other edges can be reached by the broker")
        self._is("connected")
        self._unsettled = set()
        for on in list(self._wanted):
            self._unsettle(on)
        while True:
            on, note = await self._work.get()
            metrics.BROKER_WAITING.set(self.waiting)
            if note is not None:
                await self._publish(on, note)
            else:
                self._unsettled.discard(on)
                with contextlib.suppress(*_GONE):
                    await self._settle(on)

    async def _publish(self, on: str, note: bytes) -> None:
        outcome = "told"
        try:
            await self._nats.publish(on, note)
        except _GONE:
            outcome = "failed"
        metrics.BROKER_NOTES.labels(outcome).inc()

    async def _settle(self, on: str) -> None:
        handler, heard = self._wanted.get(on), self._heard.get(on)
        if handler is not None and heard is None:
            self._heard[on] = await self._nats.subscribe(on, cb=self._answering(on))
        elif handler is None and heard is not None:
            del self._heard[on]
            await heard.unsubscribe()

    def _answering(self, on: str) -> Callable[[Msg], "asyncio.Future[None]"]:
        async def hear(message: Msg) -> None:
            handler = self._wanted.get(on)
            # Until the broker knows that nobody listens here any more, somebody may wait for it.
            answer = handler(message.data) if handler else NOBODY
            if answer is not None and message.reply:
                await self._nats.publish(message.reply, answer)

        return hear  # type: ignore[return-value]

    async def _failed(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            metrics.BROKER_EVENTS.labels("slow").inc()
            log.warning("notes of other edges came faster than they were taken, and were dropped")
        elif isinstance(error, _GONE):
            await self._lost()
        else:
            log.error("a note of another edge could not be taken", exc_info=error)

    async def _lost(self) -> None:
        if not self._nats.is_closed and self._is("away"):
            metrics.BROKER_EVENTS.labels("lost").inc()
            log.warning("the broker is away: this edge serves on alone until it is back")

    async def _back(self) -> None:
        if self._is("connected"):
            metrics.BROKER_EVENTS.labels("back").inc()
        log.info("the broker is back")


def _read(task: "asyncio.Future[Any]") -> None:
    """Takes note of how it ended, so that an error is not reported as one that nobody saw."""
    if not task.cancelled():
        task.exception()
