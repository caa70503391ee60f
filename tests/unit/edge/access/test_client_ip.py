"""Whose address a call comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.client_ip import Proxies, holder

NET = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "values", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),  # no proxy of ours: made up
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),  # what the client wrote itself
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),  # several header lines
        ("10.0.0.1", ["198.51.100.7:5123"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:5123"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),  # a client inside
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("", ["198.51.100.7"], ""),  # a Unix socket
    ],
)
def test_x_forwarded_for(peer: str, values: list[str], client: str) -> None:
    assert Proxies(NET, "x-forwarded-for").client(peer, values) == client


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["for=198.51.100.7"], "198.51.100.7"),
        (['for=1.1.1.1, For="198.51.100.7:80";proto=https;by=10.0.0.1'], "198.51.100.7"),
        (['proto=https;for="[2001:db8::1]:4711"', "for=10.0.0.2"], "2001:db8::1"),
        (["for=_hidden"], "10.0.0.1"),
        (["proto=https"], "10.0.0.1"),
    ],
)
def test_forwarded(values: list[str], client: str) -> None:
    assert Proxies(NET, "forwarded").client("10.0.0.1", values) == client


def test_nobody_is_trusted_unless_named() -> None:
    assert Proxies((), "x-forwarded-for").client("127.0.0.1", ["1.1.1.1"]) == "127.0.0.1"


@given(st.text(max_size=60))
def test_what_a_client_writes_never_changes_who_it_is(made_up: str) -> None:
    proxies = Proxies(NET, "x-forwarded-for")
    assert proxies.client("10.0.0.1", [made_up, "198.51.100.7"]) == "198.51.100.7"
    assert proxies.client("198.51.100.7", [made_up]) == "198.51.100.7"


@given(st.text(max_size=60), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_any_header_is_survived(text: str, header: str) -> None:
    Proxies(NET, header).client("10.0.0.1", [text])


def test_who_is_counted() -> None:
    assert holder("198.51.100.7") == "198.51.100.7"
    assert holder("2001:db8:1:2:3::4") == holder("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert holder("") == ""
