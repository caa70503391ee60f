"""The soak, briefly; `make soak` is the long one."""

import asyncio
from pathlib import Path

from bench.soak.run import Soak
from tests.support.fleet import Fleet, several
from tests.support.nats import nats


async def test_a_short_soak_loses_nothing_and_leaves_nothing(
    tmp_path: Path, database_url: str
) -> None:

    async with nats() as broker:
        plan = several(edge=2, agent=2)
        settings = {"NATS_URL": broker.url, "DRAIN_S": "3", "RESUME_WINDOW_S": "6"}
        fleet = Fleet(tmp_path, database_url, plan, **settings)
        await asyncio.to_thread(fleet.__enter__)
        try:
            soak = Soak(fleet, sockets=16, seconds=6, seed=1, pause_s=0.1, restart_every_s=2)
            report = await soak.run()
        finally:
            await asyncio.to_thread(fleet.__exit__, None, None, None)
    assert report.broken == []
    assert report.leaks == []
    assert report.faults == []
    assert report.good
    assert report.ends["completed"] > 0
    assert sum(report.restarts.values()) > 0
