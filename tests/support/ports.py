"""Ports for processes that have to be told theirs."""

import itertools
import os
import socket
from contextlib import ExitStack
from typing import Final

_FIRST: Final = 15_000
_COUNT: Final = 16_000
"""Below what the system gives to outgoing connections: nobody takes one before it is used."""

# Test processes begin at places of their own, and hand out each port once.
_offsets = itertools.count(os.getpid() * 211)


def free(count: int) -> list[int]:
    """So many different ports of loopback that nobody listens on."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = _FIRST + next(_offsets) % _COUNT
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            found.append(port)
    return found
