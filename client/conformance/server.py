"""The server under test, as its users reach it: REST for accounts, devices on the socket."""

import socket
import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp

from client.conformance.device import Device, Unkept


@dataclass(frozen=True, slots=True)
class Account:
    """A signed-in user."""

    email: str
    password: str
    user_id: str
    access_token: str
    refresh_token: str


class NoAccount(Exception):
    """A story needs an account of its own, and none can be made here."""


class Server:
    """`url`: where the server is, such as http://127.0.0.1:8080 or ws://127.0.0.1:8080."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        base = url.removesuffix("/api/v1/ws/device").rstrip("/")
        self.base = base.replace("ws://", "http://").replace("wss://", "https://")
        self.socket = self.base.replace("http://", "ws://").replace("https://", "wss://")
        self.http = http

    async def rest(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        """Calls `/api/v1{path}`; returns the status and the JSON of the answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(
            method, f"{self.base}/api/v1{path}", json=body, headers=headers
        ) as response:
            if response.content_type != "application/json":
                return response.status, await response.text()
            return response.status, await response.json()

    async def register(self) -> Account:
        """A new account. Raises NoAccount where registration is closed."""
        email, password = f"conformance-{uuid.uuid4().hex}@example.com", uuid.uuid4().hex
        status, body = await self.rest(
            "POST", "/auth/register", {"email": email, "password": password}
        )
        if status == 201:
            return Account(
                email, password, body["user_id"], body["access_token"], body["refresh_token"]
            )
        raise NoAccount(f"register answered {status}")

    async def login(self, email: str, password: str) -> Account:
        """Signs in. Raises Unkept when refused."""
        status, body = await self.rest(
            "POST", "/auth/login", {"email": email, "password": password}
        )
        if status != 200:
            raise Unkept(f"login answered {status}")
        return Account(
            email, password, body["user_id"], body["access_token"], body["refresh_token"]
        )

    def device(
        self,
        account: Account,
        device_id: str | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> Device:
        """A device of the user, not connected yet."""
        return Device(
            http or self.http,
            f"{self.socket}/api/v1/ws/device",
            account.access_token,
            device_id or f"device-{uuid.uuid4().hex[:12]}",
        )


def narrow() -> aiohttp.ClientSession:
    """Connections that hold little unread: what is not read stays with the server."""

    def small(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return made

    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=small))
