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
from typing import Final

from bench.soak.run import Report, Soak
from memory_svc import migrate
from tests.support.fleet import Fleet, Plan
from tests.support.postgres import serve

MIB: Final = 2**20
WARM: Final = 6
"""Samples until a process has met all kinds of work."""
GROWTH: Final = 24 * MIB
"""More than this between the first and the last quarter of a life is no longer flat."""


def main() -> None:
    """Runs it, prints the report, and exits."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchboard-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user
        with serve(folder / "postgres") as server:
            server.run("CREATE DATABASE soak")
            migrate.upgrade(server.url("soak"))
            plan = Plan(router=2, agent=2, formatter=2, memory=2)
            with Fleet(folder, server.url("soak"), plan, DRAIN_S="20") as fleet:
                soak = Soak(
                    fleet,
                    sockets=given.sockets,
                    seconds=given.minutes * 60,
                    seed=given.seed,
                    note=_note,
                )
                report = asyncio.run(soak.run())
    print(f"seed {given.seed}")
    for line in told(report):
        print(line)
    sys.exit(1 if report.broken or report.leaks or growing(report) else 0)


def _note(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


def growing(report: Report) -> list[str]:
    """The processes whose memory was not flat, over their longest life."""
    found = []
    for (name, index), lives in report.memory.items():
        samples = max(lives, key=len)[WARM:]
        quarter = len(samples) // 4
        if quarter < 3:
            continue
        grown = median(samples[-quarter:]) - median(samples[:quarter])
        if grown > GROWTH:
            found.append(f"{name} {index} grew by {grown / MIB:.0f} MiB")
    return found


def told(report: Report) -> list[str]:
    """The report as lines."""
    ends = ", ".join(f"{count} {how}" for how, count in report.ends.most_common())
    restarts = ", ".join(f"{count} {how}" for how, count in sorted(report.restarts.items()))
    lines = [
        f"{sum(report.ends.values())} requests in {report.rounds} rounds: {ends}",
        f"{report.frames} frames over {report.drops} drops; restarts: {restarts}",
        "",
        "| process | lives | MiB at first | median | at last | most | descriptors |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, index), lives in report.memory.items():
        samples = [value / MIB for value in max(lives, key=len)] or [0]
        before, after = report.fds.get((name, index), (0, 0))
        lines.append(
            f"| {name} {index} | {len(lives)} | {samples[0]:.0f} | {median(samples):.0f} "
            f"| {samples[-1]:.0f} | {max(samples):.0f} | {before} → {after} |"
        )
    lines += ["", f"{len(report.broken)} promises broken, {len(report.leaks)} leaks"]
    lines += report.broken[:20] + report.leaks + growing(report)
    return [*lines, f"{len(report.faults)} tracebacks in the logs", *report.faults[:5]]


if __name__ == "__main__":
    main()
