"""`make audit`: holds the locked versions against known vulnerabilities, without a network.

    python -m deploy.audit [ADVISORIES]

RELEASE=1 in the environment: without data it fails.

ADVISORIES is a folder of advisories in OSV format (one JSON file each, at any depth) or a zip of
them, such as https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip. Left out, it is
where osv-scanner keeps that file. Ends with status 1 and a line for each vulnerable version, and
with 0 where none is known, or where there is no data, which it says.
"""

import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

# Older and newer releases of osv-scanner.
DEFAULTS: Final = tuple(
    Path.home() / ".cache" / name / "PyPI" / "all.zip" for name in ("osv-scanner", "osv-scalibr")
)
LOCKS: Final = Path("locks")

_PIN: Final = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)

Advisory = Mapping[str, Any]
Pins = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A locked version that an advisory names. `fixed`: the next versions without the fault."""

    name: str
    version: str
    advisory: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {' or '.join(self.fixed)}" if self.fixed else "no fixed version"
        return f"{self.name} {self.version}: {self.advisory}, {remedy}"


def pins(locks: Iterable[str]) -> dict[str, frozenset[str]]:
    """The versions of each distribution that locks name, whatever system they are for."""
    found: dict[str, frozenset[str]] = {}
    for lock in locks:
        for name, version in _PIN.findall(lock):
            known = found.get(name := canonicalize_name(name), frozenset())
            found[name] = known | {version}
    return found


def read(path: Path) -> Iterator[Advisory]:
    """Yields the advisories of a folder or a zip. Raises OSError, ValueError or BadZipFile."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield json.loads(file.read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def about_pypi(advisory: Advisory) -> bool:
    """Whether an advisory tells of a distribution on PyPI."""
    return any(_is_pypi(each) for each in advisory.get("affected", ()))


def _is_pypi(affected: Mapping[str, Any]) -> bool:
    ecosystem = str(affected.get("package", {}).get("ecosystem", ""))
    return ecosystem.partition(":")[0] == "PyPI"


def findings(locked: Pins, advisory: Advisory) -> Iterator[Finding]:
    """What one advisory says of the locked versions; one that was withdrawn says nothing."""
    if advisory.get("withdrawn"):
        return
    for affected in filter(_is_pypi, advisory.get("affected", ())):
        name = canonicalize_name(affected["package"]["name"])
        for version in locked.get(name, ()):
            ranges = [each for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM"]
            if version in affected.get("versions", ()) or any(_within(version, r) for r in ranges):
                yield Finding(name, version, str(advisory["id"]), _fixed(version, ranges))


def _within(version: str, span: Mapping[str, Any]) -> bool:
    """Whether a range holds a version: its events in order, the last one that counts decides."""
    here, inside = Version(version), False
    for at, kind in sorted(_events(span)):
        match kind:
            case "introduced":
                inside = inside or here >= at
            case "fixed":
                inside = inside and here < at
            case "last_affected":
                inside = inside and here <= at
    return inside


def _events(span: Mapping[str, Any]) -> Iterator[tuple[Version, str]]:
    """A range's events. Bounds that are no versions are passed over: `versions` names those."""
    for event in span.get("events", ()):
        for kind, text in event.items():
            try:
                # "0" is before every version, development releases too.
                yield Version("0.dev0" if text == "0" else text), kind
            except InvalidVersion:
                continue


def _fixed(version: str, ranges: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The first fixed version of each range that comes after a version."""
    later = [
        min(after)
        for span in ranges
        if (
            after := [at for at, kind in _events(span) if kind == "fixed" and at > Version(version)]
        )
    ]
    return tuple(str(at) for at in sorted(set(later)))


def audit(
    locks: Path, given: Path | None, defaults: Sequence[Path] = DEFAULTS, *, required: bool = False
) -> int:
    """Tells what was found; returns the status to end with: 2 where the data is no data.
    `required`: that there is none at all is a failure, as before a release."""
    path = given or next((each for each in defaults if each.exists()), defaults[0])
    if not path.exists():
        if given is None:
            print(f"audit: not checked: there are no advisories at {path} (ADVISORIES=…)")
            return 1 if required else 0
        print(f"audit: {path} is not there", file=sys.stderr)
        return 2
    locked = pins(file.read_text("utf-8") for file in sorted(locks.glob("*.txt")))
    count, found = 0, set[Finding]()
    try:
        for advisory in filter(about_pypi, read(path)):
            count += 1
            found.update(findings(locked, advisory))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        print(f"audit: {path} is not in OSV format ({type(error).__name__})", file=sys.stderr)
        return 2
    if not count:
        print(f"audit: {path} holds no advisory about PyPI", file=sys.stderr)
        return 2
    for each in sorted(found):
        print(each, file=sys.stderr)
    print(f"audit: {len(locked)} distributions, {count} advisories, {len(found)} found vulnerable")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(
        audit(
            LOCKS,
            Path(sys.argv[1]) if len(sys.argv) > 1 else None,
            required=os.environ.get("RELEASE") == "1",
        )
    )
