"""A whole edge on loopback, in front of scripted services, and a device to talk to it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import web

from edge import app, listener, listener_tls
from edge.rest.common import EDGE, Edge
from edge.settings import EdgeSettings
from edge.wire.codec import MAX_FRAME_BYTES
from tests.support.scripted_router import Behind

Frame = dict[str, Any]
PATIENCE_S: Final = 10.0
KEY: Final = "k" * 40


MOST = MAX_FRAME_BYTES + 1  # aiohttp takes less than this: no frame of the server is larger


class Closed(Exception):
    """The server closed the socket, with `code`."""

    def __init__(self, code: int | None) -> None:
        super().__init__(str(code))
        self.code = code


class DeviceSocket:
    """A device's end of one socket."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.ready: Frame = {}

    async def send(self, type_: str, /, **fields: Any) -> None:
        await self.ws.send_str(json.dumps({"type": type_, **fields}))

    async def next(self) -> Frame:
        """The next frame. Raises Closed."""
        message = await self.ws.receive(PATIENCE_S)
        if message.type is aiohttp.WSMsgType.TEXT:
            frame: Frame = json.loads(message.data)
            return frame
        raise Closed(self.ws.close_code)

    async def until(self, type_: str, **fields: Any) -> list[Frame]:
        """Frames up to and with the first one of this type and these fields."""
        seen = []
        while True:
            seen.append(await self.next())
            if seen[-1]["type"] == type_ and fields.items() <= seen[-1].items():
                return seen

    async def expect(self, type_: str, **fields: Any) -> Frame:
        """The next frame, which must be this."""
        frame = await self.next()
        assert frame["type"] == type_, frame
        assert fields.items() <= frame.items(), frame
        return frame

    async def closed(self) -> int | None:
        """The close code, once the socket is closed; frames before it are passed over."""
        while True:
            try:
                await self.next()
            except Closed as closed:
                return closed.code

    async def close(self) -> None:
        await self.ws.close()

    def cut(self) -> None:
        """The network is gone: no close frame, nothing."""
        transport = self.ws._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()


class Front:
    """An edge at `url`, and those who talk to it, over TLS by `trust`."""

    def __init__(
        self,
        url: str,
        edge: Edge,
        application: web.Application,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self.edge = edge
        self.app = application
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust or True))
        self._sockets: list[DeviceSocket] = []

    def token(self, user_id: str = "user-1", family_id: str = "family-1") -> str:
        return self.edge.tokens.issue(user_id, family_id)

    def headers(self, user_id: str = "user-1") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id)}"}

    async def open(
        self, token: str | None = None, headers: dict[str, str] | None = None
    ) -> DeviceSocket:
        """A socket before its hello."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        ws = await self.http.ws_connect(
            f"{self.url}/api/v1/ws/device", headers=sent, max_msg_size=MOST, autoclose=True
        )
        socket = DeviceSocket(ws)
        self._sockets.append(socket)
        return socket

    async def device(
        self, device_id: str = "laptop", user_id: str = "user-1", **hello: Any
    ) -> DeviceSocket:
        """A socket that said hello; `ready` is what it was told."""
        socket = await self.open(self.token(user_id))
        await socket.send("device_hello", device_id=device_id, **hello)
        socket.ready = await socket.expect("device_ready")
        return socket

    async def catalogued(self) -> None:
        """Returns once the edge knows what is switched on behind it."""
        async with asyncio.timeout(PATIENCE_S):
            while "catalogue" not in (device := await self.device("catalogued")).ready:
                await device.close()
            await device.close()

    async def call(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """A REST call: status and body."""
        kwargs.setdefault("headers", self.headers())
        async with self.http.request(method, self.url + path, **kwargs) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def close(self) -> None:
        for socket in self._sockets:
            await socket.close()
        await self.http.close()


class EdgeStack(Front):
    """An edge with the scripted services that stand behind it."""

    def __init__(self, url: str, edge: Edge, application: web.Application, behind: Behind) -> None:
        super().__init__(url, edge, application)
        self.behind = behind


@asynccontextmanager
async def edge_stack(**settings: Any) -> AsyncIterator[EdgeStack]:
    """An edge and its scripted services, until left."""
    async with Behind() as behind:
        values = {
            "router_addr": behind.address,
            "memory_addr": behind.address,
            "auth_signing_keys": KEY,
            "drain_s": 2,
            **settings,
        }
        async with listening(EdgeSettings.model_validate(values)) as (url, application):
            stack = EdgeStack(url, application[EDGE], application, behind)
            try:
                yield stack
            finally:
                await stack.close()


@asynccontextmanager
async def listening(settings: EdgeSettings) -> AsyncIterator[tuple[str, web.Application]]:
    """An edge on a port of loopback: its URL, and the application."""
    application, context = app.make(settings), listener_tls.context(settings)
    runner = listener.runner(application, settings, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        scheme = "https" if context else "http"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}", application
    finally:
        await runner.cleanup()


async def eventually(holds: Any) -> None:
    """Waits until `holds()` is true, within bounds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)
