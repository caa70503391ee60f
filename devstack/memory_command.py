"""`python -m devstack.memory_command rotate-keys`: a command of memory_svc, on the data of the
stack that runs here (or of DATABASE_URL, where that is set)."""

import os
import sys

from devstack import plan, postgres
from devstack.settings import DevstackSettings
from devstack.state import State
from runtime.settings import fail, load

_PROGRAM = "devstack"


def main(command: str) -> None:
    """Becomes the command's process."""
    settings = load(DevstackSettings, _PROGRAM)
    state = State(settings.state_dir.absolute(), lock=-1)  # the stack that runs holds it
    url = None
    if settings.database_url is None:
        if not (state.database / "postmaster.pid").exists():
            fail(
                _PROGRAM, f"no stack runs on {state.folder}: `make run` first, or set DATABASE_URL"
            )
        url = postgres.url(state)
    environment = os.environ | plan.of_state(state, "memory", os.environ, url)
    os.execve(sys.executable, [sys.executable, "-m", "memory_svc", command], environment)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
