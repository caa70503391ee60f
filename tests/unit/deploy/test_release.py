"""A release says one version everywhere."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy.release import git_problems, problems

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-28\n\n### Added\n\n- x\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deploy/helm").mkdir(parents=True)
    (tmp_path / "client/app").mkdir(parents=True)
    (tmp_path / "deploy/helm/Chart.yaml").write_text('version: 1.2.3\nappVersion: "1.2.3"\n')
    (tmp_path / "client/app/package.json").write_text(json.dumps({"version": "1.2.3"}))
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    for command in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "x"),
    ):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    return tmp_path


def test_a_checkout_that_says_one_version_has_no_problems(root: Path) -> None:
    assert [*problems(root, "1.2.3"), *git_problems(root, "1.2.3")] == []


def test_each_place_that_says_another_version_is_named(root: Path) -> None:
    found = [line.split(":")[0] for line in problems(root, "1.3.0")]
    assert found == [
        "deploy/helm/Chart.yaml",
        "deploy/helm/Chart.yaml",
        "client/app/package.json",
        "CHANGELOG.md",
    ]


def test_changes_that_nobody_released_are_named(root: Path) -> None:
    text = CHANGELOG.replace("## [Unreleased]\n", "## [Unreleased]\n\n- new\n")
    (root / "CHANGELOG.md").write_text(text)
    assert list(problems(root, "1.2.3")) == ["CHANGELOG.md: [Unreleased] is not empty"]
    assert list(git_problems(root, "1.2.3")) == ["git: there are changes that are not committed"]


def test_a_version_is_released_once(root: Path) -> None:
    subprocess.run(("git", "tag", "v1.2.3"), cwd=root, check=True)
    assert list(git_problems(root, "1.2.3")) == [
        "git: the tag v1.2.3 is already there; raise runtime/__init__.py"
    ]
