"""The dependency audit: which locked versions advisories in OSV format name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from deploy import audit

Capture = pytest.CaptureFixture[str]


def advisory(*events: dict[str, str], name: str = "some-lib", **more: Any) -> dict[str, Any]:
    span = {"type": "ECOSYSTEM", "events": list(events)}
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [span]}
    return {"id": "GHSA-1", "affected": [affected | more]}


FROM_START = ({"introduced": "0"}, {"fixed": "2.0"})


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "one.txt").write_text(
        "some-lib==1.5 \\\n    --hash=sha256:" + "a" * 64 + "\n"
        "windows-only==3.1 ; sys_platform == 'win32' \\\n    --hash=sha256:" + "b" * 64 + "\n"
    )
    return folder


def folder_of(tmp_path: Path, *advisories: dict[str, Any]) -> Path:
    folder = tmp_path / "osv" / "PyPI"
    folder.mkdir(parents=True)
    for number, each in enumerate(advisories):
        (folder / f"{number}.json").write_text(json.dumps(each))
    return folder.parent


def found(version: str, told: dict[str, Any]) -> list[str]:
    return [str(each) for each in audit.findings({"some-lib": frozenset({version})}, told)]


def test_a_vulnerable_version_fails_by_name_version_advisory_and_remedy(
    locks: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = folder_of(tmp_path, advisory(*FROM_START))
    assert audit.audit(locks, path) == 1
    assert capsys.readouterr().err == "some-lib 1.5: GHSA-1, fixed in 2.0\n"


def test_a_lock_for_another_system_is_held_against_them_too(
    locks: Path, tmp_path: Path, capsys: Capture
) -> None:
    told = advisory({"introduced": "3.0"}, name="Windows_Only")
    assert audit.audit(locks, folder_of(tmp_path, told)) == 1
    assert capsys.readouterr().err == "windows-only 3.1: GHSA-1, no fixed version\n"


def test_a_zip_is_read_as_a_folder_is(locks: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GHSA-1.json", json.dumps(advisory(*FROM_START)))
    assert audit.audit(locks, None, [tmp_path / "none.zip", path]) == 1
    assert "some-lib 1.5" in capsys.readouterr().err


def test_what_is_not_vulnerable_passes(locks: Path, tmp_path: Path, capsys: Capture) -> None:
    path = folder_of(tmp_path, advisory({"introduced": "0"}, {"fixed": "1.5"}))
    assert audit.audit(locks, path) == 0
    assert capsys.readouterr().out == ("audit: 2 distributions, 1 advisories, 0 found vulnerable\n")


def test_without_data_it_says_so_and_passes(locks: Path, tmp_path: Path, capsys: Capture) -> None:
    assert audit.audit(locks, None, [tmp_path / "none.zip"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("audit: not checked: there are no advisories")


def test_before_a_release_there_must_be_data(locks: Path, tmp_path: Path, capsys: Capture) -> None:
    assert audit.audit(locks, None, [tmp_path / "none.zip"], required=True) == 1
    assert "not checked" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "", "no zip", "folder", "broken", "foreign"])
def test_data_that_was_asked_for_and_is_none_fails(
    locks: Path, tmp_path: Path, capsys: Capture, content: str | None
) -> None:
    path = tmp_path / "data"
    if content in ("folder", "broken", "foreign"):
        path.mkdir()
    if content == "broken":
        (path / "one.json").write_text("[1]")
    elif content == "foreign":
        told = {"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "some-lib"}}]}
        (path / "one.json").write_text(json.dumps(told))
    elif content in ("", "no zip"):
        path.write_text(content)
    assert audit.audit(locks, path) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "events", "vulnerable"),
    [
        ("1.0", [{"introduced": "1.0"}, {"fixed": "1.1"}], True),
        ("1.1", [{"introduced": "1.0"}, {"fixed": "1.1"}], False),
        ("1.1rc1", [{"introduced": "1.0"}, {"fixed": "1.1"}], True),
        ("1.1", [{"introduced": "0"}, {"last_affected": "1.1"}], True),
        ("1.1.1", [{"introduced": "0"}, {"last_affected": "1.1"}], False),
        ("1.10", [{"introduced": "0"}, {"fixed": "1.9"}], False),
        ("0.0.dev1", [{"introduced": "0"}], True),
        (
            "2.5",
            [{"introduced": "0"}, {"fixed": "1.9"}, {"introduced": "2.0"}, {"fixed": "2.6"}],
            True,
        ),
        (
            "1.9.5",
            [{"fixed": "2.6"}, {"introduced": "2.0"}, {"fixed": "1.9"}, {"introduced": "0"}],
            False,
        ),
        ("1.0", [{"introduced": "0"}, {"fixed": "not a version"}], True),
    ],
)
def test_ranges_hold_versions_by_their_order_and_not_as_text(
    version: str, events: list[dict[str, str]], vulnerable: bool
) -> None:
    assert bool(found(version, advisory(*events))) is vulnerable


def test_versions_may_be_named_one_by_one() -> None:
    told = advisory(versions=["1.5"])
    assert found("1.5", told) == ["some-lib 1.5: GHSA-1, no fixed version"]
    assert found("1.6", told) == []


def test_the_remedy_is_the_next_fixed_version_of_each_line() -> None:
    events = [{"introduced": "0"}, {"fixed": "1.9"}, {"introduced": "2.0"}, {"fixed": "2.6"}]
    assert found("1.5", advisory(*events)) == ["some-lib 1.5: GHSA-1, fixed in 1.9"]
    assert found("2.1", advisory(*events)) == ["some-lib 2.1: GHSA-1, fixed in 2.6"]


def test_withdrawn_advisories_commits_and_other_ecosystems_say_nothing() -> None:
    assert found("1.5", advisory(*FROM_START) | {"withdrawn": "2024-01-01T00:00:00Z"}) == []
    commits = {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}]}
    assert found("1.5", advisory(ranges=[commits])) == []
    npm = {"ecosystem": "npm", "name": "some-lib"}
    assert found("1.5", advisory(*FROM_START, package=npm)) == []


versions = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda v: f"{v[0]}.{v[1]}")


@given(versions, st.sets(versions, min_size=2, max_size=2))
def test_a_version_is_within_a_range_where_it_lies_between_its_ends(
    version: str, ends: set[str]
) -> None:
    start, end = sorted(ends, key=Version)
    told = advisory({"introduced": start}, {"fixed": end})
    between = Version(start) <= Version(version) < Version(end)
    assert bool(found(version, told)) is between


def test_the_locks_of_this_project_are_read() -> None:
    locked = audit.pins(file.read_text() for file in audit.LOCKS.glob("*.txt"))
    assert {"grpcio", "openai", "uv", "rich"} <= set(locked)
    assert all(Version(each) for found in locked.values() for each in found)
