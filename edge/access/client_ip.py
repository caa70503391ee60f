"""Whose address a call comes from, where proxies stand in between. Pure.

A header is believed only as far as it was written by a proxy that the operator trusts:
read from the right, the first address that is no trusted proxy's is the client's.
Everything left of it may be made up.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_PORT: Final = re.compile(r"(?:\[(?P<six>[^]]*)\]|(?P<four>[0-9.]+))(?::[0-9]+)?\Z")
_FOR: Final = re.compile(r"for=(?:\"([^\"]*)\"|([^;\s]*))\Z", re.IGNORECASE)


class Proxies:
    """The proxies of `trusted` networks, which tell of their clients in `header`:
    `x-forwarded-for` or `forwarded` (RFC 7239), the one that they really set."""

    def __init__(self, trusted: Sequence[str], header: str) -> None:
        self._trusted = [ip_network(network) for network in trusted]
        self.header: Final = header

    def client(self, peer: str, values: Sequence[str]) -> str:
        """The client's address, given the connection's and all values of the header."""
        seen = _address(peer)
        if seen is None:
            return peer  # a Unix socket has none
        for hop in reversed(",".join(values).split(",")):
            if not self._trusts(seen):
                break
            said = _address(self._hop(hop.strip()))
            if said is None:
                break  # nobody can tell: the proxy answers for it
            seen = said
        return str(seen)

    def _hop(self, text: str) -> str:
        if self.header != "forwarded":
            return text
        for pair in text.split(";"):
            if found := _FOR.match(pair.strip()):
                return found[1] or found[2] or ""
        return ""

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def holder(address: str) -> str:
    """Who is counted under an address: of IPv6 the /64, since a host has all of that."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, 64), strict=False))
    return str(found or address)


def _address(text: str) -> Address | None:
    if port := _PORT.match(text):
        text = port["six"] or port["four"] or ""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
