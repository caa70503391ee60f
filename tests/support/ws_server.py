"""A server for clients under test: signs anybody in and follows a script on each socket.

A script is a list of coroutine functions, one for each connection in turn; each speaks
through a `Peer`. What the client sent is kept, and a script that fails fails the test.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

Frame = dict[str, Any]
PATIENCE_S = 10.0
LIMITS = {
    "max_frame_bytes": 1_048_576,
    "max_message_chars": 32_000,
    "max_history_messages": 200,
    "max_history_chars": 200_000,
    "max_concurrent_requests": 8,
    "resume_window_s": 60,
}


class Peer:
    """The server's end of one socket."""

    def __init__(self, socket: web.WebSocketResponse, authorization: str) -> None:
        self.socket = socket
        self.authorization = authorization

    async def receive(self, frame_type: str | None = None) -> Frame:
        """Returns the next frame; it must be of this type, where one is named."""
        message = await self.socket.receive(PATIENCE_S)
        assert message.type is WSMsgType.TEXT, message
        frame: Frame = json.loads(message.data)
        assert frame_type in (None, frame["type"]), frame
        return frame

    async def send(self, frame_type: str, **fields: Any) -> None:
        """Sends a frame."""
        await self.socket.send_json({"type": frame_type, **fields})

    async def ready(self, **fields: Any) -> Frame:
        """Takes the hello and accepts it. Returns the hello."""
        hello = await self.receive("device_hello")
        await self.send("device_ready", session_id="s", protocol=3, limits=LIMITS, **fields)
        return hello

    async def closed(self) -> None:
        """Waits until the client has closed the socket."""
        message = await self.socket.receive(PATIENCE_S)
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED), message


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class WsServer:
    """A running server. `accounts` are e-mail → password; `calls` the REST calls, in order."""

    scripts: list[Script]
    url: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    expires_in: float = 900
    refuse_upgrades: list[int] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_upgrades:
            return web.Response(status=self.refuse_upgrades.pop(0))
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        try:
            script = self.scripts.pop(0)
            async with asyncio.timeout(PATIENCE_S):
                await script(Peer(socket, request.headers.get("Authorization", "")))
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            await socket.close()
        return socket

    async def auth(self, request: web.Request) -> web.Response:
        call, body = request.match_info["call"], await request.json()
        self.calls.append(call)
        email, password = body.get("email", ""), body.get("password", "")
        match call:
            case "register" if email in self.accounts:
                return _error(409, "conflict")
            case "register":
                self.accounts[email] = password
            case "login" if self.accounts.get(email) != password:
                return _error(401, "unauthenticated")
        number = len(self.calls)
        return web.json_response(
            {
                "user_id": "u",
                "access_token": f"access-{number}",
                "refresh_token": f"refresh-{number}",
                "expires_in": self.expires_in,
            },
            status=201 if call == "register" else 200,
        )


def _error(status: int, code: str) -> web.Response:
    error = {"code": code, "message": code, "retryable": False}
    return web.json_response({"error": error}, status=status)


@contextlib.asynccontextmanager
async def serve(*scripts: Script) -> AsyncIterator[WsServer]:
    """Runs a server on loopback. Raises the first failure of a script as it ends."""
    server = WsServer(list(scripts))
    app = web.Application()
    app.router.add_get("/api/v1/ws/device", server.socket)
    app.router.add_post("/api/v1/auth/{call}", server.auth)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
    if server.failures:
        raise server.failures[0]
