"""Ports for processes that have to be told theirs."""

import itertools
import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Final

_FIRST: Final = 15_000
_COUNT: Final = 16_000
"""Below what the system gives to outgoing connections: nobody takes one before it is used."""

# Test processes begin at places of their own, and hand out each port once.
_offsets = itertools.count(os.getpid() * 211)


def free(count: int) -> list[int]:
    """So many different ports of loopback that nobody listens on."""
    return [row(1) for _ in range(count)]


def row(size: int) -> int:
    """The first of so many ports one after another."""
    while True:
        ports = [_FIRST + next(_offsets) % _COUNT for _ in range(size)]
        if ports[-1] - ports[0] == size - 1 and _free(ports):
            return ports[0]


def _free(ports: Iterable[int]) -> bool:
    with ExitStack() as held:
        try:
            for port in ports:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            return False
    return True
