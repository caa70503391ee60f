"""The siege, briefly, and that it can be lost; `make siege` is the long one."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.siege.accounts import ATTACKS
from bench.siege.attack import SENT
from bench.siege.cage import open_cage
from bench.siege.judge import Seen, complaints
from bench.siege.run import UNBOUNDED, Siege, caged
from bench.siege.shipped import memory_limits
from tests.support.nats import nats

DEVICES = ATTACKS[0]
"""One account with 75 devices, each with eight requests and all the history they may have."""


async def besieged(folder: Path, database_url: str, settings: Mapping[str, str]) -> Seen:
    with open_cage() as cage:
        async with nats() as broker:
            limits = memory_limits()
            told = {"NATS_URL": broker.url, "DRAIN_S": "1", **settings}
            async with caged(folder, database_url, cage, limits, **told) as fleet:
                siege = Siege(
                    fleet, cage, sockets=5, calm_s=5, seconds=20, attacks=[DEVICES], seed=1
                )
                return await siege.run()


@pytest.mark.timeout(240)
async def test_one_account_with_75_devices_brings_nobody_down(
    tmp_path: Path, database_url: str
) -> None:
    seen = await besieged(tmp_path, database_url, {})
    assert [each.ended for each in seen.services if each.ended] == []
    assert seen.answers > 0 and seen.wrong == [] and not seen.refused
    heard = seen.told[DEVICES.name]
    assert heard[SENT] > 0
    assert sum(heard[code] for code in DEVICES.told) > 0


@pytest.mark.timeout(240)
async def test_without_budgets_the_siege_is_lost(tmp_path: Path, database_url: str) -> None:
    seen = await besieged(tmp_path, database_url, UNBOUNDED)
    found = complaints(seen, {DEVICES.name: DEVICES.told})
    assert any("was killed for its memory" in line for line in found), found
