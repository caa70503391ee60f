"""A Postgres of a test's own, with settings as people run it, and a pgbouncer before it.

with own_postgres(folder, ssl="on", ssl_cert_file=…) as server, pgbouncer(server, "session") as url:
    …

`standby(server, …)` runs a copy of it that follows it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from devstack import postgres as embedded
from devstack.state import State
from tests.support.ports import free

PASSWORD: Final = "p/w@of:ours#1?"
DATABASE: Final = "postgres"


@dataclass(frozen=True, slots=True)
class Own:
    """A server that runs on loopback and asks for a password."""

    folder: Path
    port: int

    def url(self, host: str = "127.0.0.1", password: str = PASSWORD) -> str:
        """Its address, as DATABASE_URL takes it."""
        return address(self.port, host, password)


def address(port: int, host: str = "127.0.0.1", password: str = PASSWORD) -> str:
    """The address of whatever listens at `port`."""
    return f"postgresql://postgres:{quote(password, safe='')}@{host}:{port}/{DATABASE}"


@contextmanager
def own_postgres(folder: Path, programs: Path, **settings: str | Path) -> Iterator[Own]:
    """Makes a server of these programs in `folder` and runs it."""
    own = Own(folder, free(1)[0])
    folder.mkdir(parents=True)
    state = State(folder, -1)
    server = embedded.of(state)
    server.data.mkdir(mode=0o700)
    _give(server.data)
    # Its owner is settled now: who runs on it is asked again.
    drop = embedded.of(state).prepare
    word = folder / "password"
    word.write_text(PASSWORD)
    subprocess.run(
        [
            *(programs / "initdb", "-D", server.data, "-U", "postgres", "--no-sync"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={word}"),
            *("--encoding=UTF8", "--locale=C"),
        ],
        preexec_fn=drop,
        check=True,
        capture_output=True,
    )
    given = {
        "listen_addresses": "127.0.0.1,127.0.0.2",
        "port": str(own.port),
        "unix_socket_directories": "",
        "fsync": "off",
        **settings,
    }
    for path in settings.values():
        if isinstance(path, Path):
            _give(path)
    command: list[str | Path] = [programs / "postgres", "-D", server.data]
    command += [f"--{name}={value}" for name, value in given.items()]
    with _running(command, own.port, folder / "log", drop, server.data):
        yield own


def follow(server: Own, folder: Path, programs: Path) -> Own:
    """Makes a standby of `server` in `folder`, to be run by `standby`."""
    own = Own(folder, free(1)[0])
    folder.mkdir(parents=True)
    data = embedded.of(State(folder, -1)).data
    data.mkdir(mode=0o700)
    _give(data)
    source = server.url().removesuffix(f"/{DATABASE}")
    subprocess.run(
        [programs / "pg_basebackup", "-D", data, "-R", "-c", "fast", "-X", "stream", "-d", source],
        preexec_fn=embedded.of(State(folder, -1)).prepare,
        check=True,
        capture_output=True,
    )
    return own


@contextmanager
def standby(own: Own, programs: Path) -> Iterator[None]:
    """Runs what `follow` made."""
    server = embedded.of(State(own.folder, -1))
    command: list[str | Path] = [programs / "postgres", "-D", server.data]
    given = {"listen_addresses": "127.0.0.1", "port": str(own.port), "unix_socket_directories": ""}
    command += [f"--{name}={value}" for name, value in given.items()]
    with _running(command, own.port, own.folder / "log", server.prepare, server.data):
        yield


@contextmanager
def pgbouncer(server: Own, mode: str) -> Iterator[str]:
    """Debian's pgbouncer before `server`, as it comes; yields the address over it."""
    folder = server.folder / f"pgbouncer-{mode}"
    folder.mkdir()
    port = free(1)[0]
    # A session keeps its connection: there must be one for each of ours.
    size = 3 if mode == "transaction" else 20
    (folder / "users").write_text(f'"postgres" "{PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
{DATABASE} = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
"""
    )
    drop = embedded.of(State(server.folder, -1)).prepare
    command: list[str | Path] = ["/usr/sbin/pgbouncer", folder / "pgbouncer.ini"]
    with _running(command, port, folder / "log", drop):
        yield address(port)


@contextmanager
def _running(
    command: list[str | Path],
    port: int,
    log: Path,
    drop: Callable[[], None] | None,
    data: Path | None = None,
) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            preexec_fn=drop,  # noqa: PLW1509 - no thread of ours holds a lock then
            start_new_session=True,
        )
    try:
        _wait(process, port, log, data)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # at once, for both
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path, data: Path | None) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and (not data or _takes(data)):
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _takes(data: Path) -> bool:
    """Whether a server takes connections: it listens before, and refuses them."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() in ("ready", "standby")


def _give(path: Path) -> None:
    """Hands a file or folder to whom the server runs as, and nobody else."""
    if os.geteuid() == 0:
        shutil.chown(path, "nobody")
    path.chmod(0o700 if path.is_dir() else 0o600)
