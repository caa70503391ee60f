"""`python -m runtime.boot edge`: `python -m edge`, as the first process of a container.

The kernel keeps signals without a handler from process 1, so a SIGTERM that came while a
service is still importing would be lost, and the container be killed when its time is up.
Here it ends the process. Once a service runs, its own handler takes the place of this one.
"""

import runpy
import signal
import sys
from typing import Final, NoReturn

TERMINATED: Final = 128 + signal.SIGTERM
"""The exit status that shells give a process ended by SIGTERM."""


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def main(module: str, arguments: list[str]) -> None:
    """Runs a module as `python -m` does, with the arguments after its name."""
    signal.signal(signal.SIGTERM, _end)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
