"""Files that hold secrets: made whole or not at all, replaced in one step."""

import os
from pathlib import Path

FOLDER_MODE = 0o700
"""Of the folder around all secrets: on this machine its owner alone gets in."""

READABLE = 0o644
"""Of a secret in it: containers run under a user id of their own, and are given only their own
files; nobody else gets past the folder."""


def replace(path: Path, content: bytes, mode: int = READABLE) -> None:
    """Writes a file that readers see as it was or as it will be, never half."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask says
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def make_once(path: Path, content: bytes, mode: int = READABLE) -> bool:
    """Writes a file that is not there yet. Returns whether it was made."""
    if path.exists():
        return False
    replace(path, content, mode)
    return True


def folder(path: Path, mode: int = FOLDER_MODE) -> Path:
    """Makes a folder with exactly this mode."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path
