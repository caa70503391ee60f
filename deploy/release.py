"""What must be true of a checkout before its version is released: `make release-check`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from runtime import __version__

ROOT: Final = Path(__file__).resolve().parent.parent


def problems(root: Path, version: str) -> Iterator[str]:
    """What does not say `version`, a line each; none where all agree."""
    chart = yaml.safe_load((root / "deploy/helm/Chart.yaml").read_text())
    for name in ("version", "appVersion"):
        if chart[name] != version:
            yield f"deploy/helm/Chart.yaml: {name} is {chart[name]}, not {version}"
    package = json.loads((root / "client/app/package.json").read_text())
    if package["version"] != version:
        yield f"client/app/package.json: version is {package['version']}, not {version}"
    yield from _changelog_problems((root / "CHANGELOG.md").read_text(), version)


def _changelog_problems(text: str, version: str) -> Iterator[str]:
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    dated = re.compile(rf"\[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", re.MULTILINE)
    if not any(dated.match(section) for section in sections):
        yield f"CHANGELOG.md: no section [{version}] with a date"
    for section in sections:
        if section.startswith("[Unreleased]") and section.partition("\n")[2].strip():
            yield "CHANGELOG.md: [Unreleased] is not empty"


def git_problems(root: Path, version: str) -> Iterator[str]:
    """What stands in git's way of tagging the commit that is checked out."""
    if _git(root, "status", "--porcelain"):
        yield "git: there are changes that are not committed"
    if _git(root, "tag", "--list", f"v{version}"):
        yield f"git: the tag v{version} is already there; raise runtime/__init__.py"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(  # noqa: S603
        ("git", *arguments),  # noqa: S607
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def main() -> int:
    """Status 1 where something is in the way, each named on a line."""
    found = [*problems(ROOT, __version__), *git_problems(ROOT, __version__)]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{__version__} can be released: git tag -s v{__version__}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
