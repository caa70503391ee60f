"""How much memory this process may use before the kernel ends it."""

from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")
_FILES: Final = ("memory.max", "memory/memory.limit_in_bytes")  # version 2, version 1
_NONE: Final = 1 << 60
"""Version 1 says no limit by a number near 2**63."""


def of_cgroup(root: Path = _CGROUP) -> int | None:
    """The container's limit in bytes; None where there is none, or none that can be read."""
    for name in _FILES:
        try:
            limit = int((root / name).read_text())
        except (OSError, ValueError):  # `max` is no number
            continue
        return limit if limit < _NONE else None
    return None
