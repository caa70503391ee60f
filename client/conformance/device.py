"""A device with nothing automatic but reading: what a check sends is what goes out."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

Frame = dict[str, Any]

WAIT_S: Final = 10.0
"""How long a frame may take that a check waits for."""


class Unkept(Exception):
    """A promise was not kept; the text says how."""


def holds(condition: object, otherwise: str) -> None:
    """Raises Unkept unless the condition holds."""
    if not condition:
        raise Unkept(otherwise)


class Device:
    """One socket of one device. `received` holds every frame, in order of arrival."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, device_id: str) -> None:
        self._http = http
        self._url = url
        self._token = token
        self.device_id = device_id
        self.received: list[Frame] = []
        self._taken: set[int] = set()
        self._news = asyncio.Condition()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self.close_code: int | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        await self.hello()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.drop()

    async def open(self, **headers: str) -> None:
        """Connects, without a hello. Raises aiohttp.WSServerHandshakeError when refused."""
        self.close_code = None
        self._socket = await self._http.ws_connect(
            self._url, headers=headers, max_msg_size=8 << 20, autoclose=True
        )
        self._reader = asyncio.create_task(self._read(self._socket))

    async def hello(self, **fields: Any) -> Frame:
        """Says hello, and returns `device_ready`."""
        await self.say_hello(**fields)
        return await self.expect("device_ready")

    async def say_hello(self, **fields: Any) -> None:
        """Says hello without waiting; a field of None is left out."""
        hello = {"device_id": self.device_id, "token": self._token, "protocol": 3, **fields}
        await self.send("device_hello", **hello)

    async def send(self, type_: str, **fields: Any) -> None:
        """Sends one frame."""
        await self.send_text(json.dumps({"type": type_, **fields}))

    @property
    def _live(self) -> aiohttp.ClientWebSocketResponse:
        if self._socket is None:
            raise Unkept("the story uses a socket that it never opened")
        return self._socket

    async def send_text(self, text: str) -> None:
        """Sends one text message as it is."""
        await self._live.send_str(text)

    async def send_bytes(self, data: bytes) -> None:
        """Sends one binary message."""
        await self._live.send_bytes(data)

    async def ask(self, message: str, **fields: Any) -> str:
        """Sends a home_request, and returns its id."""
        request_id = str(uuid.uuid4())
        await self.send("home_request", **{"message": message, "request_id": request_id, **fields})
        return request_id

    async def drop(self) -> None:
        """Ends the connection without a word, as a lost network does."""
        if self._socket is not None and self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            response = self._socket._response
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()
            await self._socket.close()
            self._socket = self._reader = None

    def read_on(self, *, reading: bool) -> None:
        """Stops reading from the network, or goes on."""
        connection = self._live._response.connection
        if connection is not None and connection.transport is not None:
            transport = connection.transport
            transport.resume_reading() if reading else transport.pause_reading()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                async with self._news:
                    self.received.append(json.loads(message.data))
                    self._news.notify_all()
        async with self._news:
            self.close_code = socket.close_code or 1006
            self._news.notify_all()

    async def expect(self, type_: str, within: float = WAIT_S, **fields: Any) -> Frame:
        """The first frame of this type, with these fields, that was not handed out before."""

        def find() -> int | None:
            wanted = {"type": type_, **fields}.items()
            for index, frame in enumerate(self.received):
                if index not in self._taken and wanted <= _plain(frame).items():
                    return index
            return None

        found = await self._until(find, within, f"no {type_} within {within:g} s")
        self._taken.add(found)
        return self.received[found]

    async def end(self, request_id: str, within: float = WAIT_S) -> Frame:
        """The `stream_end` of a request."""
        return await self.expect("stream_end", within, request_id=request_id)

    async def closed(self, within: float = WAIT_S) -> int:
        """The code that the server closes the socket with."""
        return await self._until(
            lambda: self.close_code, within, f"the socket is still open after {within:g} s"
        )

    async def barrier(self) -> None:
        """Returns when the server has dealt with all that was sent before."""
        nonce = uuid.uuid4().hex
        await self.send("ping", nonce=nonce)
        await self.expect("pong", nonce=nonce)

    async def _until(self, find: Callable[[], int | None], within: float, otherwise: str) -> int:
        async with self._news:
            try:
                async with asyncio.timeout(within):
                    while (found := find()) is None:
                        if self.close_code is not None:
                            raise Unkept(f"{otherwise}: the socket closed ({self.close_code})")
                        await self._news.wait()
            except TimeoutError:
                raise Unkept(otherwise) from None
        return found

    def frames(self, request_id: str) -> list[Frame]:
        """The frames of one request, in order of arrival."""
        return [frame for frame in self.received if frame.get("request_id") == request_id]

    def text(self, request_id: str) -> str:
        """The text of one answer so far."""
        chunks = (f for f in self.frames(request_id) if f["type"] == "stream_text")
        return "".join(frame["chunk"] for frame in chunks)


def _plain(frame: Frame) -> Frame:
    """The fields that can be compared as items of a set."""
    return {name: value for name, value in frame.items() if isinstance(value, str | int)}


def check_numbers(frames: list[Frame]) -> None:
    """Holds the frames of a whole answer against 1, 2, 3 … and exactly one end."""
    frames = [frame for frame in frames if frame["type"] != "error"]
    numbers = [frame.get("seq") for frame in frames]
    holds(numbers == list(range(1, len(numbers) + 1)), f"seq runs {numbers}")
    ends = [frame["type"] for frame in frames].count("stream_end")
    holds(ends == 1, f"{ends} stream_end frames")
    holds(frames[-1]["type"] == "stream_end", "a frame came after stream_end")
