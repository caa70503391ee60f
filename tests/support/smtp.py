"""A small SMTP server (RFC 5321) that keeps what it is sent: EHLO, STARTTLS, AUTH, mail.

async with smtp_server() as server:
    ...  # f"smtp+clear://127.0.0.1:{server.port}"
    mail = await server.mail()
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

PATIENCE_S = 20.0


@dataclass
class Received:
    """A mail as it came in."""

    recipients: list[str]
    message: EmailMessage
    secure: bool
    user: str | None

    @property
    def code(self) -> str:
        """The code that it carries: the only indented line."""
        text: str = self.message.get_content()
        (line,) = [line for line in text.splitlines() if line.startswith(" " * 4)]
        return line.strip()


@dataclass
class SmtpServer:
    """Where it listens, what came, and how it answers: `refuse` gives a recipient's reply."""

    port: int = 0
    refuse: Callable[[str], str | None] = lambda _: None
    tls: ssl.SSLContext | None = None
    users: dict[str, str] = field(default_factory=dict)
    received: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    async def mail(self) -> Received:
        """The next mail."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.received.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await _Conversation(self, reader, writer).run()
        writer.close()


class _Conversation:
    def __init__(
        self, server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._secure = writer.get_extra_info("ssl_object") is not None
        self._user: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._say("220 sink ESMTP")
        while line := (await self._reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                await self._say("221 bye")
                return
            await self._answer(verb.upper(), rest)

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()

    async def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                offers = [*(["STARTTLS"] if self._server.tls and not self._secure else [])]
                await self._say("250-sink", *(f"250-{each}" for each in offers), "250 AUTH PLAIN")
            case "STARTTLS":
                await self._say("220 go ahead")
                assert self._server.tls is not None
                await self._writer.start_tls(self._server.tls)
                self._secure = True
            case "AUTH":
                await self._sign_in(rest.split(" ")[1])
            case "MAIL":
                self._recipients = []
                await self._say("250 ok")
            case "RCPT":
                address = rest.partition("<")[2].partition(">")[0]
                refused = self._server.refuse(address)
                if refused is None:
                    self._recipients.append(address)
                await self._say(refused or "250 ok")
            case "DATA":
                await self._take()
            case "RSET":
                await self._say("250 ok")
            case _:
                await self._say("502 not here")

    async def _sign_in(self, given: str) -> None:
        _, user, password = base64.b64decode(given).decode().split("\0")
        right = self._server.users.get(user) == password
        self._user = user if right else None
        await self._say("235 welcome" if right else "535 wrong")

    async def _take(self) -> None:
        await self._say("354 go ahead")
        text = await self._reader.readuntil(b"\r\n.\r\n")
        message = message_from_bytes(text[:-3], policy=default)
        found = Received(self._recipients, message, self._secure, self._user)
        self._server.received.put_nowait(found)
        await self._say("250 kept")


@asynccontextmanager
async def smtp_server(
    *, tls: ssl.SSLContext | None = None, at_once: bool = False, **users: str
) -> AsyncIterator[SmtpServer]:
    """A server on loopback; `tls` is offered by STARTTLS, or spoken from the start `at_once`."""
    sink = SmtpServer(tls=tls, users=users)
    listener = await asyncio.start_server(sink.serve, "127.0.0.1", 0, ssl=tls if at_once else None)
    sink.port = listener.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        listener.close()
