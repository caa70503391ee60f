"""What may be told of the database, and what is refused."""

from pathlib import Path

import pytest

from memory_svc.settings import DatabaseSettings
from memory_svc.store import address
from runtime.settings import load

URL = "postgresql://me:secret@pooler:6432/x"


def problem(capsys: pytest.CaptureFixture[str], **given: str) -> str:
    with pytest.raises(SystemExit):
        load(DatabaseSettings, "memory_svc", given)
    return capsys.readouterr().err


def test_a_pooler_in_transaction_mode_needs_a_way_past_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = problem(capsys, DATABASE_URL=URL, DATABASE_POOLING="transaction")
    assert "DATABASE_DIRECT_URL: is needed" in said
    direct = "postgresql://me:secret@db/x"
    given = {"DATABASE_URL": URL, "DATABASE_POOLING": "transaction", "DATABASE_DIRECT_URL": direct}
    settings = load(DatabaseSettings, "memory_svc", given)
    assert (settings.for_statements, settings.for_sessions) == (URL, direct)


def test_without_a_way_past_it_one_address_is_for_all() -> None:
    settings = load(DatabaseSettings, "memory_svc", {"DATABASE_URL": URL})
    assert settings.for_statements == settings.for_sessions == URL


def test_an_authority_is_asked_for_on_both_ways(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    given = {"DATABASE_URL": URL, "DATABASE_DIRECT_URL": URL, "DATABASE_CA_FILE": str(authority)}
    settings = load(DatabaseSettings, "memory_svc", given)
    for url in (settings.for_statements, settings.for_sessions):
        assert url == address.trusting(URL, authority) != URL


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_DIRECT_URL"])
def test_an_address_that_cannot_be_read_is_refused_without_its_password(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    said = problem(capsys, **{"DATABASE_URL": URL, name: "postgresql://me:s3/cret@db/x"})
    assert f"{name}: cannot be read: in a password" in said
    assert "cret" not in said
