"""The script that finds a Chromium or gets one, on machines made of a few commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path("deploy/ci/chromium.sh").absolute()
# What the script calls besides apt, dpkg and chromium.
TOOLS = ("bash", "cat", "chmod", "find", "flock", "id", "mkdir", "mv", "paste", "rm", "sh", "sort")


class Machine:
    """A PATH with the usual tools, an apt that writes down what it is asked, and a home."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home = folder / "bin", folder / "home"
        self.said = folder / "said"
        self.bin.mkdir()
        self.home.mkdir()
        for name in TOOLS:
            found = subprocess.check_output(["sh", "-c", f"command -v {name}"], text=True)
            (self.bin / name).symlink_to(found.strip())

    def command(self, name: str, script: str) -> None:
        """Puts a command into PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.said}"\n{script}\n')
        path.chmod(0o755)

    def run(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Runs the script there."""
        env = {"PATH": str(self.bin), "HOME": str(self.home), **settings}
        return subprocess.run(
            ["bash", SCRIPT], env=env, capture_output=True, text=True, check=False
        )

    def asked(self) -> list[str]:
        """What apt and dpkg were asked."""
        return self.said.read_text().splitlines() if self.said.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_machines_own_is_taken(machine: Machine) -> None:
    machine.command("chromium", "")

    assert machine.run().stdout == f"{machine.bin}/chromium\n"
    assert machine.asked() == []


def test_one_that_is_named_goes_before(machine: Machine, tmp_path: Path) -> None:
    machine.command("chromium", "")
    machine.command("mine", "")

    assert machine.run(CHROMIUM=f"{machine.bin}/mine").stdout == f"{machine.bin}/mine\n"


def test_root_installs_debians(machine: Machine) -> None:
    machine.command("id", "echo 0")
    chromium = machine.bin / "chromium"
    machine.command(
        "apt-get",
        f"echo much to read\n[ $1 = update ] || {{ : >{chromium}; chmod +x {chromium}; }}",
    )

    done = machine.run()

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{machine.bin}/chromium\n", "")
    assert [each.split()[1] for each in machine.asked() if each.startswith("apt-get")] == [
        "update",
        "install",
    ]


def test_others_unpack_it_below_their_cache(machine: Machine) -> None:
    machine.command("id", "echo 1000")
    archives = machine.home / ".cache/switchboard/chromium/apt/archives"
    machine.command("apt-get", f'case "$*" in *install*) : >{archives}/chromium_1.deb;; esac')
    machine.command(
        "dpkg-deb",
        'mkdir -p "$3/usr/lib/chromium" "$3/usr/lib/some"; : >"$3/usr/lib/some/libx.so.1"\n'
        'printf \'#!/bin/sh\\necho "$LD_LIBRARY_PATH $1"\\n\' >"$3/usr/lib/chromium/chromium"\n'
        'chmod +x "$3/usr/lib/chromium/chromium"',
    )

    first, second = machine.run(), machine.run()

    launcher = f"{machine.home}/.cache/switchboard/chromium/chromium"
    assert first.stdout == second.stdout == f"{launcher}\n"
    assert sum(" install -y chromium " in each for each in machine.asked()) == 1
    told = subprocess.check_output([launcher, "--headless"], text=True)
    assert told.split()[0].endswith("/root/usr/lib/some")
    assert told.split()[1] == "--headless"


@pytest.mark.parametrize("user", ["0", "1000"])
def test_where_none_can_be_had_the_last_line_says_what_to_do(machine: Machine, user: str) -> None:
    machine.command("id", f"echo {user}")
    machine.command("apt-get", "echo no network >&2; exit 100")

    done = machine.run()

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "no network",
        "chromium is missing: run 'apt-get install chromium' as root, or set CHROMIUM to its path",
    ]


def test_a_machine_without_apt_is_told_what_to_do(machine: Machine) -> None:
    done = machine.run()

    assert done.returncode == 1
    assert done.stderr == "chromium is missing: install it, or set CHROMIUM to its path\n"
