"""`python -m devstack` (`make run`): the whole of Switchboard on this machine."""

import asyncio

from devstack.settings import DevstackSettings
from devstack.supervisor import run
from runtime import observe
from runtime.settings import load


def main() -> None:
    """Runs a stack until it is told to stop."""
    settings = load(DevstackSettings, "devstack")
    observe.start(settings, "devstack")
    raise SystemExit(asyncio.run(run(settings)))


if __name__ == "__main__":
    main()
