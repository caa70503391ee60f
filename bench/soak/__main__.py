"""`python -m bench.soak --minutes 10 --sockets 200` (`make soak MINUTES=10`).

Ends with status 0 where nothing was lost, doubled or reordered, nothing leaked, and memory
stayed flat; prints what happened, and the memory of each process.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.soak.judge import MIB, Look, judged
from bench.soak.run import Report, Soak, name_of
from memory_svc import migrate
from tests.support.fleet import Fleet, several
from tests.support.nats import nats
from tests.support.postgres import serve


def main() -> None:
    """Runs it, prints the report, and exits."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--logs", type=Path, help="a folder in which the services' logs stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchboard-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user
        with serve(folder / "postgres") as server:
            server.run("CREATE DATABASE soak")
            migrate.upgrade(server.url("soak"))
            report = asyncio.run(_soak(folder, server.url("soak"), given))
    print(f"seed {given.seed}")
    for line in told(report):
        print(line)
    sys.exit(0 if report.good else 1)


async def _soak(folder: Path, database_url: str, given: argparse.Namespace) -> Report:
    plan = several(edge=2, router=2, agent=2, formatter=2, memory=2)
    logs = given.logs or folder
    logs.mkdir(exist_ok=True)
    async with nats() as broker:
        fleet = Fleet(logs, database_url, plan, NATS_URL=broker.url, DRAIN_S="20")
        await asyncio.to_thread(fleet.__enter__)
        try:
            soak = Soak(
                fleet,
                sockets=given.sockets,
                seconds=given.minutes * 60,
                seed=given.seed,
                note=_note,
            )
            return await soak.run()
        finally:
            await asyncio.to_thread(fleet.__exit__, None, None, None)


def _note(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


def told(report: Report) -> list[str]:
    """The report as lines."""
    ends = ", ".join(f"{count} {how}" for how, count in report.ends.most_common())
    restarts = ", ".join(f"{count} {how}" for how, count in sorted(report.restarts.items()))
    lines = [
        f"{sum(report.ends.values())} requests in {report.rounds} rounds: {ends}",
        f"{report.frames} frames over {report.drops} drops; restarts: {restarts}",
        "",
        "| process | lives | MiB at first | median | at last | most | descriptors | tasks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, index), lives in report.memory.items():
        samples = [value / MIB for value in max(lives, key=len)] or [0]
        before, after = report.looks[name, index]
        fds = f"{before.fds} → {after.fds} and {before.pooled} → {after.pooled}"
        tasks = " → ".join(f"{_tasks(look):.0f}" for look in (before, after))
        lines.append(
            f"| {name} {index} | {len(lives)} | {samples[0]:.0f} | {median(samples):.0f} "
            f"| {samples[-1]:.0f} | {max(samples):.0f} | {fds} | {tasks} |"
        )
    lines += ["", f"{len(report.broken)} promises broken, {len(report.leaks)} leaks"]
    lines += report.broken[:20] + report.leaks + report.growing
    short = [name_of(key) for key, lives in report.memory.items() if not judged(lives)]
    if short:
        lines.append(f"too short to judge the memory of: {', '.join(short)}")
    return [*lines, f"{len(report.faults)} exceptions in the logs", *report.faults[:5]]


def _tasks(look: Look) -> float:
    return (look.gauges or {}).get("switchboard_tasks", 0)


if __name__ == "__main__":
    main()
