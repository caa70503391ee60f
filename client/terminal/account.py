"""Signing in, without asking: the first time, an account is made for this machine.

`SWITCHBOARD_EMAIL` and `SWITCHBOARD_PASSWORD` name another account; they are never
written to disk. `SWITCHBOARD_INVITATION` is shown where registration asks for one.
Everything of one account at one server stands in one private folder.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from client.terminal.protocol import Refused, Unreachable
from client.terminal.store import write_private

TIMEOUT = aiohttp.ClientTimeout(total=30)
# A token is renewed when this much of its life is gone.
RENEW_AT = 0.8


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs in, and from which device. `made_here`: the client chose the password;
    `invitation`: for servers that ask for one of who registers."""

    email: str
    password: str
    device_id: str
    made_here: bool
    invitation: str = ""

    def __repr__(self) -> str:
        return f"Identity({self.email})"


def home_folder(environ: Mapping[str, str]) -> Path:
    """Returns where this client keeps its files: `STATE_DIR`/client, else by the XDG rules."""
    if state := environ.get("STATE_DIR"):
        return Path(state) / "client"
    base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "switchboard" / "client"


def account_folder(environ: Mapping[str, str], url: str) -> Path:
    """Returns the folder of one account at one server: two users never share a store."""
    who = environ.get("SWITCHBOARD_EMAIL") or "this-machine"
    return home_folder(environ) / _slug(url.rsplit("://", maxsplit=1)[-1]) / _slug(who)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.@-]+", "_", text.lower()).strip("._") or "_"


def load_identity(folder: Path, environ: Mapping[str, str]) -> Identity:
    """Reads who we are here, or makes it up and keeps it."""
    invitation = environ.get("SWITCHBOARD_INVITATION", "")
    return replace(_known_identity(folder, environ), invitation=invitation)


def _known_identity(folder: Path, environ: Mapping[str, str]) -> Identity:
    file = folder / "account.json"
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = {}
    device_id = known.get("device_id") or f"terminal-{uuid.uuid4().hex[:12]}"
    email, password = environ.get("SWITCHBOARD_EMAIL"), environ.get("SWITCHBOARD_PASSWORD")
    if email or password:
        if not (email and password):
            raise Refused("SWITCHBOARD_EMAIL and SWITCHBOARD_PASSWORD belong together: set both")
        if device_id != known.get("device_id"):
            write_private(file, json.dumps({"device_id": device_id}))
        return Identity(email, password, device_id, made_here=False)
    if known.get("email") and known.get("password"):
        return Identity(known["email"], known["password"], device_id, made_here=True)
    return new_identity(folder, device_id)


def new_identity(folder: Path, device_id: str) -> Identity:
    """Makes an account's name and password for this machine, and keeps them."""
    email = f"terminal-{secrets.token_hex(6)}@device.example"
    identity = Identity(email, secrets.token_urlsafe(24), device_id, made_here=True)
    write_private(folder / "account.json", json.dumps(asdict(identity), indent=1))
    return identity


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder: two clients with one store would undo each other's changes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused("another terminal client is using this account; leave it first") from None
    finally:
        os.close(handle)


class Account:
    """The tokens of one account; signs in when there are none, renews them in time."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, identity: Identity, folder: Path
    ) -> None:
        self._http = http
        self._url = url
        self._identity = identity
        self._invitation = identity.invitation
        self._folder = folder
        self._access = self._refresh = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        """Returns an access token. Raises Refused or Unreachable."""
        if not self._access:
            await self._sign_in()
        elif time.monotonic() >= self._renew_at:
            await self._renew()
        return self._access

    async def renewed(self) -> str:
        """Waits until the token is to be renewed, and returns the next one."""
        await asyncio.sleep(max(0.0, self._renew_at - time.monotonic()))
        return await self.token()

    def forget(self) -> None:
        """Drops the tokens, so that the next one comes from signing in anew."""
        self._access = self._refresh = ""

    async def _renew(self) -> None:
        status, body = await self._post("refresh", {"refresh_token": self._refresh})
        if status == 200:
            self._take(body)
        else:
            await self._sign_in()

    async def _sign_in(self) -> None:
        """Logs in; an account that this server does not know is made first.

        A server whose database is new does not know an account of ours that another had
        before; one that holds our name under another password gets a new name.
        """
        status, body = await self._post("login", self._credentials())
        if status == 401:
            status, body = await self._register()
        if status == 409 and self._identity.made_here:
            self._identity = new_identity(self._folder, self._identity.device_id)
            status, body = await self._register()
        if status == 409:
            raise Refused("wrong password for this e-mail address")
        if status >= 500:
            raise Unreachable(f"cannot sign in yet: {_why(body)} ({status})")
        if status not in (200, 201):
            raise Refused(f"cannot sign in: {_why(body)} ({status})")
        self._take(body)

    async def _register(self) -> tuple[int, dict[str, Any]]:
        more = {"invitation": self._invitation} if self._invitation else {}
        return await self._post("register", self._credentials() | more)

    def _credentials(self) -> dict[str, str]:
        return {
            "email": self._identity.email,
            "password": self._identity.password,
            "device_name": f"terminal client on {socket.gethostname()}",
        }

    def _take(self, body: dict[str, Any]) -> None:
        self._access, self._refresh = body["access_token"], body["refresh_token"]
        self._renew_at = time.monotonic() + body["expires_in"] * RENEW_AT

    async def _post(self, call: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        try:
            async with self._http.post(
                f"{self._url}/api/v1/auth/{call}", json=body, timeout=TIMEOUT
            ) as response:
                answer = await response.json(content_type=None)
                return response.status, answer if isinstance(answer, dict) else {}
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"cannot reach the server at {self._url}: is it running?") from error
        except ValueError:
            raise Refused(f"what answers at {self._url} is not a Switchboard server") from None


def _why(body: dict[str, Any]) -> str:
    error = body.get("error")
    return str(error.get("message")) if isinstance(error, dict) else "no reason given"
