from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client import node


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """A folder whose node, npm and npx fail."""
    for name in ("node", "npm", "npx"):
        trap = tmp_path / name
        trap.write_text("#!/bin/sh\nexit 97\n")
        trap.chmod(0o755)
    return tmp_path


def test_the_machines_own_node_is_never_asked(traps: Path) -> None:
    env = os.environ | {"PATH": f"{traps}:{os.environ['PATH']}"}

    # tsc and biome are scripts of npm's that start `node`.
    done = subprocess.run(
        [sys.executable, "-m", "client.node", "run", "check"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_ours_stands_first_in_path(traps: Path) -> None:
    env = node.environment({"PATH": str(traps)})

    told = subprocess.check_output(["node", "--version"], env=env, text=True)

    assert told.startswith("v24.")


def test_what_is_installed_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node.install()
    monkeypatch.setattr(node, "npm", lambda: ["false"])

    node.install()


def test_what_npm_says_is_told_only_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("no JSON")
    monkeypatch.setattr(node, "WORKSPACE", tmp_path)
    monkeypatch.setattr(node, "_STAMP", tmp_path / "node_modules" / ".installed")

    with pytest.raises(node.InstallError, match="npm error"):
        node.install()


def test_the_lock_names_hashes_and_no_address() -> None:
    lock = json.loads((node.WORKSPACE / "package-lock.json").read_text())

    packages = {name: each for name, each in lock["packages"].items() if "node_modules" in name}
    linked = {name for name, each in packages.items() if each.get("link")}

    assert linked == {"node_modules/@switchboard/app"}
    assert all("integrity" in packages[name] for name in packages.keys() - linked)
    assert not any("resolved" in packages[name] for name in packages.keys() - linked)
