"""Which web pages may talk to the server: the allow-list of Origins (PROTOCOL §1)."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import urlsplit


class Origins:
    """Patterns with `*`, and two words: `self`, the server's own origin, and `loopback`."""

    def __init__(self, allowed: Sequence[str]) -> None:
        words = {"self", "loopback"}
        self._patterns = [_clean(pattern) for pattern in allowed if pattern not in words]
        self._self = "self" in allowed
        self._loopback = "loopback" in allowed

    def allow(self, origin: str | None, host: str) -> bool:
        """Whether a request with this Origin header, sent to `host`, may pass.

        None is allowed: whoever can leave the header out is no browser's page.
        """
        if origin is None:
            return True
        origin = _clean(origin)
        if any(fnmatchcase(origin, pattern) for pattern in self._patterns):
            return True
        try:
            parts = urlsplit(origin)
            netloc, hostname = parts.netloc, parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        return (self._self and netloc == host.lower()) or (
            self._loopback and _is_loopback(hostname)
        )


def _clean(origin: str) -> str:
    # `file://` is an origin as it stands; others may come with a slash at the end.
    return origin.lower() if origin.endswith("://") else origin.lower().rstrip("/")


def _is_loopback(hostname: str) -> bool:
    try:
        return ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost" or hostname.endswith(".localhost")
