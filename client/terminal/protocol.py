"""The socket: its frames, and a connection that is kept up (PROTOCOL §1–5).

A frame is a JSON object with a `type`. `Progress` knows, without any I/O, how far each
request has come, which is all that a resume needs. `Link` connects, says hello, hands
each frame on, and after a drop connects again with back-off, naming what it has seen.
"""

import asyncio
import contextlib
import json
import math
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn, Protocol

import aiohttp

PROTOCOL = 3
SOCKET_PATH = "/api/v1/ws/device"
UNAUTHENTICATED = 4401
TOO_BIG = 1009
RATE_LIMITED = 4529
# The server sends at most 1 MiB a frame; what is larger is not one of its frames.
MAX_FRAME_BYTES = 2 * 1024 * 1024
# Used until `device_ready` tells the server's own limit.
MOST_BYTES = 1024 * 1024
TOO_MANY = 429
# After that status, where the server does not say how long to wait, in seconds.
LATER_S = 1.0
HEARTBEAT_S = 20.0
HELLO_TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0

Frame = dict[str, Any]


class Refused(Exception):
    """The server will not have us, and trying again will not help; one line for people."""


class Unreachable(Exception):
    """The server cannot be reached; one line for people."""


# Frames


def home_request(message: str, history: list[Frame], request_id: str) -> Frame:
    """Asks from the Home page: the answer may hold blocks."""
    frame = {"type": "home_request", "message": message, "request_id": request_id}
    return frame | ({"conversation_history": history} if history else {})


def popup_request(message: str, scope: Frame, history: list[Frame], request_id: str) -> Frame:
    """Asks from a popup about `scope` {`type`, `id`?}: the answer is text only."""
    return home_request(message, history, request_id) | {"type": "popup_request", "scope": scope}


def cancel(request_id: str) -> Frame:
    """Stops a request; its stream_end still comes."""
    return {"type": "cancel", "request_id": request_id}


def encode(frame: Frame, most_bytes: int) -> str:
    """Writes a frame. An answer larger than the server takes becomes an error that says so:
    the server would close the socket, and ask again on the next one."""
    text = _dump(frame)
    if frame["type"] in ("tool_result", "data_response") and len(text.encode()) > most_bytes:
        error = {"code": "too_large", "message": "The answer is larger than a frame may be."}
        named = {key: frame[key] for key in ("type", "call_id", "query_id") if key in frame}
        return _dump(named | {"error": error})
    return text


def _dump(frame: Frame) -> str:
    # As it is, not escaped: that would make six bytes of two. Half a character has no UTF-8.
    text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace").decode()


def decode(text: str) -> Frame | None:
    """Reads a frame; None for anything that a client has to ignore."""
    try:
        frame = json.loads(text)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("type"), str) else None


class Progress:
    """How far each running request has come."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def opened(self, request_id: str) -> None:
        """Notes a request that is being sent."""
        self._seen.setdefault(request_id, 0)

    def take(self, frame: Frame) -> bool:
        """Notes a frame of the server's; False where it has come before.

        Tool calls and data requests pass each time: their own ids tell whether they are
        new, and one that was never answered comes again after a drop.
        """
        request_id, seq = frame.get("request_id"), frame.get("seq")
        if not isinstance(request_id, str) or not isinstance(seq, int):
            return True
        seen = self._seen.get(request_id, 0)
        if frame["type"] == "stream_end":
            self._seen.pop(request_id, None)
        else:
            self._seen[request_id] = max(seen, seq)
        return seq > seen or frame["type"] in ("tool_call", "data_request")

    def close(self, request_id: str) -> None:
        """Forgets a request that is over or was never opened."""
        self._seen.pop(request_id, None)

    def resume(self) -> dict[str, int]:
        """Returns the last `seq` seen of each request that has not ended."""
        return dict(self._seen)


def pauses() -> Iterator[float]:
    """Yields how long to wait before each attempt, in seconds: doubling, with jitter.

    The jitter keeps a thousand clients of one restarted server from coming back at once.
    """
    pause = FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        pause = min(pause * 2, LONGEST_PAUSE_S)


# The connection


class Tokens(Protocol):
    """Where access tokens come from."""

    async def token(self) -> str:
        """Returns an access token that is valid for now."""

    async def renewed(self) -> str:
        """Waits until the token is about to expire, and returns the next one."""

    def forget(self) -> None:
        """Drops the token at hand: the server did not take it."""


class Listener(Protocol):
    """Who takes what arrives."""

    async def on_frame(self, frame: Frame) -> None:
        """Takes a frame. Frames after it wait, so this must not."""

    async def on_lost(self, request_id: str) -> None:
        """A request that the server cannot go on with after a drop."""

    def on_drop(self) -> None:
        """The connection is gone and will be sought again."""


class Link:
    """One device's socket, kept up until it is cancelled or refused.

    `patience_s`: how long to seek a lost connection, in seconds. One that never was is
    not sought: the user may have started the client before the server.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        tokens: Tokens,
        hello: Frame,
        patience_s: float = 600.0,
    ) -> None:
        self._http = http
        self._url = url
        self._tokens = tokens
        self._hello = {"type": "device_hello", "protocol": PROTOCOL} | hello
        self._patience_s = patience_s
        self._progress = Progress()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._waiting: list[Frame] = []
        self._pause_s: float | None = None
        self._was_up = False
        self._token_refused = False
        self._most_bytes = MOST_BYTES

    async def send(self, frame: Frame) -> None:
        """Sends a frame, or keeps it until the connection is back.

        What is lost on a breaking connection needs no care here: a request is then named
        lost by the server, and a tool call that got no answer comes again.
        """
        if self._socket is None:
            self._waiting.append(frame)
            return
        if frame["type"] in ("home_request", "popup_request"):
            self._progress.opened(frame["request_id"])
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_str(encode(frame, self._most_bytes))

    def close_request(self, request_id: str) -> None:
        """Says that a request will get no stream_end, so that it is not asked after."""
        self._progress.close(request_id)

    async def run(self, listener: Listener) -> NoReturn:
        """Connects, and connects again. Raises Refused or Unreachable."""
        attempts, gone_since = pauses(), -math.inf
        while True:
            self._was_up = False
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, Unreachable):
                await self._connect(listener)
            if self._was_up:
                attempts, gone_since = pauses(), time.monotonic()
                listener.on_drop()
            elif self._pause_s is None and time.monotonic() - gone_since > self._patience_s:
                raise Unreachable(f"cannot reach the server at {self._url}: is it running?")
            pause = next(attempts) if self._pause_s is None else self._pause_s
            self._pause_s = None
            await asyncio.sleep(pause)

    async def _connect(self, listener: Listener) -> None:
        """Runs one socket from its hello to its close."""
        resume = self._progress.resume()
        try:
            async with self._open() as socket:
                hello = self._hello | ({"resume": {"requests": resume}} if resume else {})
                await socket.send_json(hello)
                await self._read(socket, resume, listener)
        except aiohttp.WSServerHandshakeError as error:
            if error.status == TOO_MANY:
                self._pause_s = _retry_after(error)
                return
            self._closed(UNAUTHENTICATED if error.status == 401 else error.status, error.message)
        finally:
            self._socket = None

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {"Authorization": f"Bearer {await self._tokens.token()}"}
        async with self._http.ws_connect(
            self._url + SOCKET_PATH,
            headers=headers,
            heartbeat=HEARTBEAT_S,
            max_msg_size=MAX_FRAME_BYTES,
            compress=0,
        ) as socket:
            renewing = asyncio.create_task(self._renew(socket))
            try:
                yield socket
            finally:
                renewing.cancel()

    async def _renew(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Says hello again with a new token before the old one ends the socket.

        Where that fails the socket will be closed 4401, and that signs in anew.
        """
        with contextlib.suppress(ConnectionError, aiohttp.ClientError, Refused, Unreachable):
            while True:
                await socket.send_json(self._hello | {"token": await self._tokens.renewed()})

    async def _read(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        resume: dict[str, int],
        listener: Listener,
    ) -> None:
        wait = HELLO_TIMEOUT_S
        while True:
            message = await socket.receive(wait if self._socket is None else None)
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            frame = decode(message.data)
            if frame is None:
                continue
            if frame["type"] == "device_ready" and self._socket is None:
                await self._up(socket, frame, resume, listener)
            if frame["type"] == "goaway":
                self._pause_s = frame.get("reconnect_after_ms", 0) / 1000
            if self._progress.take(frame):
                await listener.on_frame(frame)
        self._closed(socket.close_code or 1006, str(message.extra or ""))

    async def _up(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        ready: Frame,
        resume: dict[str, int],
        listener: Listener,
    ) -> None:
        self._socket, self._was_up, self._token_refused = socket, True, False
        self._most_bytes = (ready.get("limits") or {}).get("max_frame_bytes", MOST_BYTES)
        for request_id in set(resume).difference(ready.get("resumed") or ()):
            self._progress.close(request_id)
            await listener.on_lost(request_id)
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            await self.send(frame)

    def _closed(self, code: int, reason: str) -> None:
        """Decides by the code of a close, or the status of a refused upgrade (PROTOCOL §5)."""
        if code == UNAUTHENTICATED and not self._token_refused:
            # The token may simply have run out while the machine slept: sign in anew, once.
            self._token_refused = True
            self._tokens.forget()
            self._pause_s = 0.0
        elif code == RATE_LIMITED:
            self._pause_s = _wait_of(reason)
        elif 4000 <= code < 4500 or 400 <= code < 500 or code == TOO_BIG:
            raise Refused(
                f"the server closed the connection: {reason or 'no reason given'} ({code})"
            )


def _wait_of(reason: str) -> float | None:
    """How long the reason of a close asks to wait, in seconds; None where it does not."""
    try:
        asked = float(json.loads(reason)["retry_after_ms"]) / 1000
    except (ValueError, LookupError, TypeError):
        return None
    return min(max(asked, 0.0), LONGEST_PAUSE_S)


def _retry_after(error: aiohttp.WSServerHandshakeError) -> float:
    """How long the server asks to wait, in seconds."""
    try:
        asked = float(error.headers["Retry-After"]) if error.headers else LATER_S
    except (KeyError, ValueError):  # not said, or said as a date
        asked = LATER_S
    return min(max(asked, 0.0), LONGEST_PAUSE_S)
