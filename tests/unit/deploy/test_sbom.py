"""The bill of materials: what the lock says, with the licences that are there."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from deploy import sbom

LOCK = Path("locks/services.txt").read_text()


def test_everything_that_the_images_hold_has_hashes_and_a_licence() -> None:
    found = sbom.components(LOCK)
    assert {"grpcio", "openai", "asyncpg"} <= {each.name for each in found}
    assert all(each.hashes for each in found)
    assert [each.name for each in found if each.licence == "unknown"] == []


def test_what_is_not_installed_here_is_left_out() -> None:
    lock = (
        "one==1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"
        "two==2.0 ; sys_platform == 'emscripten' \\\n    --hash=sha256:" + "b" * 64 + "\n"
    )
    assert list(sbom.locked(lock)) == [("one", "1.0", ("a" * 64,))]


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        ("grpcio==0.1", f"grpcio is locked at 0.1 and installed at {version('grpcio')}"),
        ("no-such-thing==1", "no-such-thing 1 is locked and not installed"),
    ],
)
def test_another_environment_than_the_locks_is_refused(lock: str, why: str) -> None:
    with pytest.raises(SystemExit, match=why):
        sbom.components(lock)


def test_the_bill_tells_each_component_once_and_is_the_same_each_time() -> None:
    found = sbom.components(LOCK)
    bill = sbom.cyclonedx(found, "1.0")
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(references) == len(set(references)) == len(found)
    assert bill == sbom.cyclonedx(sbom.components(LOCK), "1.0")
    assert {"expression": "MIT"} in [
        licence for each in bill["components"] for licence in each["licenses"]
    ]
