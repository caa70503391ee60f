"""All attacks, by the process that runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.siege import accounts, anonymous, flood, rest, sockets
from bench.siege.attack import Attack

GROUPS: Final[Mapping[str, Sequence[Attack]]] = {
    "accounts": accounts.ATTACKS,
    "anonymous": anonymous.ATTACKS,
    "sockets": sockets.ATTACKS,
    "rest": rest.ATTACKS,
    "flood": flood.ATTACKS,
}

BY_NAME: Final = {attack.name: attack for group in GROUPS.values() for attack in group}
