"""The keeper: ends what a stack has started should the stack itself be killed.

A process of its own that reads `pid signal` lines on its standard input: the leaders of
the process groups to end, and how to ask them. End of file means that the supervisor is
gone, in whatever way; then it asks each group, and after a while forces it. It imports
nothing but the standard library, so that it stands ready in 20 ms.
"""

import os
import signal
import sys
import time
from contextlib import suppress

ASK_S = 4.0
"""From asking to forcing, in seconds."""


def alive(group: int) -> bool:
    """Whether any process is left in a group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(groups: dict[int, int], patience: float = ASK_S) -> None:
    """Ends the groups: each by its own signal, and by force when that did not do."""
    for group, asking in groups.items():
        with suppress(ProcessLookupError):
            os.killpg(group, asking)
    until = time.monotonic() + patience
    while any(map(alive, groups)) and time.monotonic() < until:
        time.sleep(0.05)
    for group in filter(alive, groups):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Keeps until the supervisor goes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        pid, asking = (int(word) for word in line.split())
        if asking:
            groups[pid] = asking
        else:  # it has ended, and its number may be another's soon
            groups.pop(pid, None)
    end(groups)


if __name__ == "__main__":
    main()
