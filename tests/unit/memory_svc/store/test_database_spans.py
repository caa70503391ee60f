"""A statement's span is named by verb and table, and by nothing that stands in it."""

import pytest

from memory_svc.store.database import _named


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT id, kind FROM memory_jobs WHERE user_id = $1", "SELECT memory_jobs"),
        ("INSERT INTO users (id, email) VALUES ($1, $2)", "INSERT users"),
        ("UPDATE users SET email = $1", "UPDATE users"),
        ("DELETE FROM memory_core\n WHERE key = 'secret'", "DELETE memory_core"),
        (
            "SELECT extract(epoch FROM clock_timestamp()) FROM memory_jobs",
            "SELECT memory_jobs",
        ),
        ("BEGIN;", "BEGIN"),
        ("COMMIT;", "COMMIT"),
        ("SELECT 1", "SELECT"),
        ("", "EMPTY"),
    ],
)
def test_a_name_is_verb_and_table(statement: str, name: str) -> None:
    assert _named(statement) == name
