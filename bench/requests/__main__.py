"""What a request takes of a CPU, process by process: `python -m bench.requests --count 200`.

The stack as `make run` runs it, with the offline model; devices that ask one after another for
what makes tool calls and a list. A real model takes no CPU of yours, but longer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.memory import tables
from tests.support.device import Device
from tests.support.stack import Running, children, family

ASKED: Final = ("What is overdue?", "My office is room {}.", "Create a task to call Bob at {}.")
_SERVICES: Final = ("edge", "router_svc", "agent_svc", "formatter_svc", "memory_svc")


def spent(pids: set[int]) -> float:
    """CPU seconds of these processes, and of those of their children that are over."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def processes(stack: Running) -> dict[str, set[int]]:
    """The processes of each service, and of all else: the database, and what starts them."""
    named = {name: family(stack.pid_of(name)) for name in _SERVICES}
    rest = {pid for child in children(stack.process.pid) for pid in family(child)}
    return named | {"postgres and the rest": rest.difference(*named.values())}


async def ask(origin: str, requests: int) -> None:
    async with await Device.open(origin) as device:
        for number in range(requests):
            answer = await device.ask(ASKED[number % len(ASKED)].format(number))
            assert answer.end["status"] == "completed", answer.end


async def run(stack: Running, count: int, at_once: int) -> None:
    await ask(stack.origin, len(ASKED))  # what is loaded with the first requests
    before = {name: spent(pids) for name, pids in processes(stack).items()}
    began = time.perf_counter()
    await asyncio.gather(*(ask(stack.origin, count // at_once) for _ in range(at_once)))
    took = time.perf_counter() - began
    done = count // at_once * at_once
    each = {name: spent(pids) - before[name] for name, pids in processes(stack).items()}
    rows = [(name, f"{1000 * cpu / done:.1f}") for name, cpu in each.items()]
    rows.append(("all", f"{1000 * sum(each.values()) / done:.1f}"))
    title = f"CPU in ms for each of {done} requests, {at_once} at once, {done / took:.1f} a second"
    tables.show(title, ("process", "ms"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.requests", description=__doc__)
    parser.add_argument("--count", type=int, default=200, metavar="N")
    parser.add_argument("--at-once", type=int, default=4, metavar="N")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="switchboard-requests-"))
    with Running(folder / "state") as stack:
        asyncio.run(run(stack, given.count, given.at_once))


if __name__ == "__main__":
    main()
