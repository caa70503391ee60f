"""`python -m router_svc`: alone, and with settings that it cannot take."""

import asyncio
import os
import signal
import sys

from router_svc.__main__ import serving
from router_svc.settings import RouterSettings
from runtime.channels import dial
from runtime.settings import Settings


async def process(**environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "router_svc",
        env={"PATH": os.environ["PATH"], **environ},
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_runs_alone_and_stops_when_told() -> None:
    router = await process(LISTEN_ADDR="127.0.0.1:0", DRAIN_S="1")
    assert router.stderr is not None
    async with asyncio.timeout(30):
        while b"listens on port" not in (line := await router.stderr.readline()):
            assert line
        port = int(line.split(b"listens on port ")[1].split(b",")[0])
        async with dial(f"127.0.0.1:{port}", Settings()) as channel:
            await channel.channel_ready()  # by health: signals are taken from then on
        router.send_signal(signal.SIGTERM)
        await router.communicate()
    assert router.returncode == 0


async def test_bad_settings_are_told_in_one_line() -> None:
    router = await process(LISTEN_ADDR="nowhere", CLASSIFY_TIMEOUT_S="-1")
    async with asyncio.timeout(30):
        _, said = await router.communicate()
    assert router.returncode == 2
    (line,) = said.decode().splitlines()
    assert "LISTEN_ADDR" in line
    assert "CLASSIFY_TIMEOUT_S" in line


async def test_it_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with serving(RouterSettings(listen_addr="127.0.0.1:0")) as (_, port):
        assert port
    assert asyncio.all_tasks() == before
