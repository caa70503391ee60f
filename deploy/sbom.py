"""`make sbom`: what the images hold, as CycloneDX 1.6, and under which licences.

    build/sbom.cdx.json   every locked distribution with version, hashes and licence
    build/licences.txt    the same for people: name, version, licence

The lock says what is installed; the licences come from the distributions' own metadata, so the
environment must be the lock's (`make sbom` sees to it).
"""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker

_PIN: Final = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+))?")
_HASH: Final = re.compile(r"--hash=sha256:(\w{64})")
_APPROVED: Final = "License :: OSI Approved :: "
_SPDX: Final = re.compile(r"[\w.+()-]+( (AND|OR|WITH) [\w.+()-]+)*")


@dataclass(frozen=True, slots=True)
class Component:
    """One locked distribution. `hashes`: SHA-256 of each of its files in the index."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str


def locked(lock: str) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    """Yields name, version and hashes of what a lock installs here."""
    for entry in re.split(r"\n(?=\S)", lock):
        pin = _PIN.match(entry)
        if pin and (pin["marker"] is None or Marker(pin["marker"].strip()).evaluate()):
            yield pin["name"], pin["version"], tuple(_HASH.findall(entry))


def licence(found: Distribution) -> str:
    """A distribution's licence by its own metadata: an SPDX expression, or its words for it."""
    metadata = found.metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    classifiers = metadata.get_all("Classifier") or []
    words = [each.removeprefix(_APPROVED) for each in classifiers if each.startswith(_APPROVED)]
    if words:
        return ", ".join(words)
    (given, *_) = metadata.get_all("License") or [""]
    first, _, rest = given.strip().partition("\n")
    return first if first and not rest else "unknown"


def components(lock: str) -> list[Component]:
    """What a lock installs. Raises SystemExit where this environment is not the lock's."""
    found = []
    for name, version, hashes in locked(lock):
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} {version} is locked and not installed") from None
        if installed.version != version:
            raise SystemExit(f"{name} is locked at {version} and installed at {installed.version}")
        found.append(Component(name, version, hashes, licence(installed)))
    return sorted(found, key=lambda each: each.name)


def cyclonedx(found: Iterable[Component], version: str) -> dict[str, Any]:
    """The bill of materials. Without a time or serial number: the same lock, the same bytes."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "switchboard", "version": version}
        },
        "components": [
            {
                "type": "library",
                "bom-ref": (purl := f"pkg:pypi/{each.name}@{each.version}"),
                "name": each.name,
                "version": each.version,
                "purl": purl,
                "licenses": [_licence_entry(each.licence)],
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": f"https://pypi.org/project/{each.name}/{each.version}/",
                        "hashes": [{"alg": "SHA-256", "content": one} for one in each.hashes],
                    }
                ],
            }
            for each in found
        ],
    }


def _licence_entry(words: str) -> dict[str, Any]:
    return {"expression": words} if _SPDX.fullmatch(words) else {"license": {"name": words}}


def main(lock: Path, folder: Path, version: str) -> None:
    """Writes both files; says where."""
    found = components(lock.read_text("utf-8"))
    folder.mkdir(exist_ok=True)
    bill, licences = folder / "sbom.cdx.json", folder / "licences.txt"
    bill.write_text(json.dumps(cyclonedx(found, version), indent=2) + "\n", "utf-8")
    lines = [f"{each.name:32} {each.version:16} {each.licence}\n" for each in found]
    licences.write_text("".join(lines), "utf-8")
    print(f"{len(found)} components: {bill}, {licences}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
