"""The state folder: private, of one stack at a time, with keys that are made once."""

import base64
import fcntl
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# A Unix socket's path holds 107 bytes on Linux and 103 on macOS, its name included.
_LONGEST_SOCKET_FOLDER: Final = 85


class Refused(Exception):
    """The stack cannot start; the text says why, in one line for the operator."""


@dataclass(frozen=True, slots=True)
class State:
    """An opened state folder. The lock goes with the process."""

    folder: Path
    lock: int

    @property
    def database(self) -> Path:
        """The embedded Postgres's data."""
        return self.folder / "postgres"

    @property
    def master_keys(self) -> Path:
        """File of the keys that wrap users' keys."""
        return self.folder / "master_keys"

    @property
    def signing_keys(self) -> Path:
        """File of the keys that sign access tokens."""
        return self.folder / "auth_signing_keys"

    @property
    def erasure_ledger(self) -> Path:
        """File of the users that were erased."""
        return self.folder / "erasure_ledger"

    def sockets(self) -> Path:
        """Returns a private folder for the database's socket, made where it is not there.

        It stands in the state folder, or, where that path is too long for a socket,
        among the temporary files, under a name that only this state folder has.
        """
        folder = self.folder / "run"
        if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER:
            name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
            folder = Path(tempfile.gettempdir()) / f"switchboard-{os.getuid()}-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise Refused(f"the folder {folder} for the database's socket is somebody else's")
        return folder


def open_state(folder: Path) -> State:
    """Makes and locks a state folder. Raises Refused where it is in use or not ours."""
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Refused(f"the state folder {folder} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode(errors="replace").strip()
        os.close(lock)
        raise Refused(
            f"another stack (process {pid}) is using the state folder {folder}; "
            "stop it, or set STATE_DIR to another folder"
        ) from None
    os.truncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    state = State(folder, lock)
    # Fernet keys are 32 random bytes, URL-safe base64.
    _make_once(state.master_keys, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    _make_once(state.signing_keys, secrets.token_urlsafe(48))
    return state


def _make_once(path: Path, key: str) -> None:
    """Writes a key file whole or not at all: half a key would lock users out for good."""
    if path.exists():
        path.chmod(0o600)
        return
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
