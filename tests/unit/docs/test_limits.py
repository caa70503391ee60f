"""Each limit among the settings is crossed by tests: with two devices, and with two edges."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
LIMIT: Final = re.compile(r"MAX_\w+|\w+_PER_(?:MINUTE|HOUR|SECOND)|JOURNAL_BYTES|CPU_SHARE")
TEST: Final = re.compile(r"`(test_\w+)`")
WRITTEN: Final = frozenset(
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
)


def rows(page: str) -> list[list[str]]:
    """The rows of a page's tables, as cells."""
    lines = (ROOT / page).read_text("utf-8").splitlines()
    return [line.strip("|").split("|") for line in lines if line.startswith("| ")]


def limits() -> list[str]:
    """The settings that are limits."""
    names = [re.match(r" ?`(\w+)`", row[0]) for row in rows("docs/settings.md")]
    return [name[1] for name in names if name and LIMIT.fullmatch(name[1])]


CROSSED: Final = {
    found[1]: row
    for row in reversed(rows("docs/reliability.md"))  # the first table that names it counts
    if len(row) == 4 and (found := re.match(r" ?`(\w+)`", row[0]))
}


def test_the_settings_name_limits_and_say_where_their_tests_are() -> None:
    assert len(limits()) >= 15
    assert "reliability.md#what-one-account-may-hold" in (ROOT / "docs/settings.md").read_text()


@pytest.mark.parametrize("limit", limits())
def test_a_limit_is_crossed_with_two_devices_and_with_two_edges(limit: str) -> None:
    for column in CROSSED[limit][2:]:
        named = set(TEST.findall(column))
        assert named
        assert named <= WRITTEN


def test_no_page_about_reliability_names_a_test_that_is_not_there() -> None:
    named = set(TEST.findall((ROOT / "docs" / "reliability.md").read_text("utf-8")))
    assert named
    assert named <= WRITTEN
