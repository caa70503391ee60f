"""How the database is reached: its address, checked; and why it is not, without a secret."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

_SCHEMES: Final = ("postgresql", "postgres")
_LONGEST: Final = 300
_SHORTEST_S: Final = 0.4
_LONGEST_S: Final = 10.0
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:@\[\]]*)(:\d{1,5})?")


def problem(url: str) -> str:
    """What is wrong with an address; empty: nothing that can be seen."""
    parts = _parts(url)
    if parts is None or (parts.username is None and "@" in f"{parts.path}{parts.query}"):
        return "cannot be read: in a password, @ : / ? # are written %40 %3A %2F %3F %23"
    return "" if parts.scheme in _SCHEMES else "is no postgresql:// URL"


def trusting(url: str, authority: Path | None) -> str:
    """The address with the server's certificate checked, its name too, against `authority`."""
    if authority is None:
        return url
    parts = urlsplit(url)
    kept = [each for each in parse_qsl(parts.query) if each[0] not in ("sslmode", "sslrootcert")]
    query = [*kept, ("sslmode", "verify-full"), ("sslrootcert", str(authority))]
    return parts._replace(query=urlencode(query, quote_via=quote)).geturl()


def why(error: BaseException, url: str) -> str:
    """The first line of what an error says, such as `connection refused`; its name where it
    says nothing. No password of `url` stands in it."""
    said = str(error).strip().splitlines() or [""]
    line = " ".join(said[0].split())[:_LONGEST]
    for secret in sorted(_secrets(url), key=len, reverse=True):
        line = line.replace(secret, "…")
    return line or type(error).__name__


def pauses() -> Iterator[float]:
    """How long to wait before each new attempt, in seconds, for ever: longer each time, and
    not at the same moment as the other replicas."""
    pause = _SHORTEST_S
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311 - nobody gains by guessing it
        pause = min(_LONGEST_S, pause * 1.6)


def _secrets(url: str) -> set[str]:
    parts = _parts(url)
    if parts is None:
        return {url}
    asked = [value for name, value in parse_qsl(parts.query) if "password" in name]
    found = {parts.password or "", *asked}
    return {form for each in found for form in _forms(each) if form}


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, unquote(secret), quote(secret, safe=""))


def _parts(url: str) -> SplitResult | None:
    """An address taken apart; None where it is no whole one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    hosts = parts.netloc.rpartition("@")[2].split(",")  # a standby may stand beside the first
    return parts if not parts.fragment and all(map(_HOST.fullmatch, hosts)) else None
