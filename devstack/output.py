"""What the stack prints: every service's lines, each behind its name."""

import os
import sys
from contextlib import suppress
from typing import Final, TextIO

_WIDTH: Final = 9
_COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92)


class Output:
    """Prints lines to `stream`; in colour where that is a terminal (and NO_COLOR is not set)."""

    def __init__(self, stream: TextIO | None = None, colour: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        tty = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._colour = tty if colour is None else colour
        self._given: dict[str, int] = {}

    def line(self, name: str, text: str) -> None:
        """Prints one line of a service."""
        head = f"{name:{_WIDTH}} | "
        if self._colour:
            code = self._given.setdefault(name, _COLOURS[len(self._given) % len(_COLOURS)])
            head = f"\x1b[{code}m{head}\x1b[0m"
        # A terminal that is gone must not take the stack with it.
        with suppress(OSError, ValueError):
            self._stream.write(f"{head}{text}\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Prints one line of the stack's own."""
        self.line("stack", text)


class Lines:
    """Cuts what a process writes into lines, whatever pieces it comes in. Pure.

    A line that does not end is cut at `longest` bytes: memory is bounded.
    """

    def __init__(self, longest: int = 16_384) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Returns the lines that are whole now."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > self._longest:
            whole.append(rest[: self._longest])
            rest = rest[self._longest :]
        self._rest = rest
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def close(self) -> list[str]:
        """Returns what is left at the end."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []
