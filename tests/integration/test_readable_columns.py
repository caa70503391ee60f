"""What the operator's page says of the database is what the database holds: each column is told,
as one that whoever has a copy can read, or as one that tells nothing without a key."""

import re
from pathlib import Path

import asyncpg

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate.md"
HEADING = "## What a copy of the database tells"
SEALED = ("_encrypted", "_hash", "_sealed")
NAME = re.compile(r"`(\w+)`")


def told() -> dict[str, tuple[list[str], list[str]]]:
    """By table: the columns that are said to be readable, and the others."""
    section = PAGE.read_text("utf-8").split(HEADING)[1].split("\n## ")[0]
    rows = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| `")]
    return {
        NAME.findall(table)[0]: (NAME.findall(readable), NAME.findall(sealed))
        for table, readable, sealed in rows
    }


async def columns(database_url: str) -> dict[str, set[str]]:
    db = await asyncpg.connect(database_url)
    try:
        rows = await db.fetch(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        )
    finally:
        await db.close()
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


async def test_every_column_of_the_database_is_told_once(database_url: str) -> None:
    said = {table: sorted(readable + sealed) for table, (readable, sealed) in told().items()}
    there = {table: sorted(names) for table, names in (await columns(database_url)).items()}
    assert said == there


def test_no_column_that_is_sealed_by_its_name_is_told_as_readable() -> None:
    for readable, _ in told().values():
        assert [name for name in readable if name.endswith(SEALED)] == []
