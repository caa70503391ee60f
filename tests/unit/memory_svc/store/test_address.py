"""The database's address: what can be seen to be wrong with it, and what errors say of it."""

from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.store import address

PASSWORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db.example.com:5432/switchboard?sslmode=verify-full",
        "postgres://me@db/switchboard",
        "postgresql://postgres@/switchboard?host=/run/postgres",
        "postgresql:///switchboard",
        "postgresql://me:secret@[::1]:5432/switchboard",
        "postgresql://me:secret@first:5432,second:5433/switchboard",
        "postgresql://me:sec@ret@db/switchboard",
    ],
)
def test_an_address_that_can_be_read_is_taken(url: str) -> None:
    assert address.problem(url) == ""


@pytest.mark.parametrize("sign", ["/", "#", "?", "12/3", "12?3", "12#3"])
def test_a_password_that_is_not_escaped_is_told_without_it(sign: str) -> None:
    problem = address.problem(f"postgresql://me:{sign}word@db/switchboard")
    assert "in a password" in problem
    assert "word@" not in problem


def test_another_database_is_refused() -> None:
    assert address.problem("mysql://me:secret@db/x") == "is no postgresql:// URL"


@given(PASSWORDS, PASSWORDS)
def test_no_password_is_in_what_is_told(one: str, other: str) -> None:
    url = f"postgresql://me:{quote(one, safe='')}@db/x?sslpassword={quote(other, safe='')}"
    assert address.problem(url) == ""
    error = OSError(f"({one}) [{quote(one, safe='')}] {other} {url}")
    assert one not in address.why(error, url).replace("…", "")
    assert other not in address.why(error, url).replace("…", "")


def test_what_an_error_says_is_one_line_and_never_nothing() -> None:
    assert address.why(OSError("no\tway \nDETAIL: more"), "postgresql://db") == "no way"
    assert address.why(TimeoutError(), "postgresql://db") == "TimeoutError"


def test_an_authority_asks_for_the_whole_check_whatever_the_address_says() -> None:
    url = "postgresql://me:p%2Fw@db/x?sslmode=disable&application_name=a%20b"
    trusting = address.trusting(url, Path("/run/ca of ours.pem"))
    query = parse_qs(urlsplit(trusting).query)
    assert query == {
        "application_name": ["a b"],
        "sslmode": ["verify-full"],
        "sslrootcert": ["/run/ca of ours.pem"],
    }
    assert trusting.startswith("postgresql://me:p%2Fw@db/x?")
    assert address.trusting(url, None) == url


def test_pauses_grow_to_ten_seconds_and_never_end() -> None:
    pauses = list(islice(address.pauses(), 200))
    assert pauses[0] <= 0.5
    assert sum(pauses[:3]) < sum(pauses[3:6]) < sum(pauses[6:9])
    assert all(7.5 <= each <= 12.5 for each in pauses[10:])
    assert len(set(pauses[10:])) > 100  # replicas do not come together
