"""The allow-list of Origins."""

import pytest

from edge.access.origins import Origins
from edge.settings import EdgeSettings

DEFAULT = EdgeSettings(auth_signing_keys="k" * 32).allowed_origins
HOST = "api.example.org:8080"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "file://",
        "app://switchboard",
        "app://-",
        "http://localhost",
        "http://LOCALHOST:5173",
        "https://127.0.0.1:3000",
        "http://127.8.0.1",
        "http://[::1]:3000",
        "http://dev.localhost:3000",
        "https://api.example.org:8080",
    ],
)
def test_allowed_by_default(origin: str | None) -> None:
    assert Origins(DEFAULT).allow(origin, HOST)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "https://evil.example",
        "https://api.example.org",
        "https://api.example.org:8080.evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://user@evil.example",
        "http://[::1",
        "chrome-extension://abc",
        "ftp://localhost",
        "application://x",
    ],
)
def test_refused_by_default(origin: str) -> None:
    assert not Origins(DEFAULT).allow(origin, HOST)


def test_a_list_of_one_s_own() -> None:
    origins = Origins(["https://*.example.org", "https://app.example.com/"])
    assert origins.allow("https://a.example.org", HOST)
    assert origins.allow("https://app.example.com", HOST)
    assert origins.allow(None, HOST)
    for origin in (
        "null",
        "http://localhost",
        "https://example.org",
        "https://api.example.org:8080",
    ):
        assert not origins.allow(origin, HOST)
