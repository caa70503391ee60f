"""`python -m bench.siege --minutes 3` (`make siege MINUTES=3`).

Ends with status 0 where no service was killed, honest devices got all their answers and no
refusal, their pings kept within the goal, and every attacker was told; else with 1, and names
what broke.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.siege.attack import SENT, SERVED, Attack
from bench.siege.cage import Cage, open_cage
from bench.siege.catalogue import BY_NAME, GROUPS
from bench.siege.judge import MIB, Seen, complaints, percentile
from bench.siege.run import UNBOUNDED, Siege, caged
from bench.siege.shipped import memory_limits
from devstack import postgres
from devstack.state import State
from memory_svc import migrate
from tests.support.nats import nats
from tests.support.postgres import serve

CALM_S = 30.0
QUICK_S = 20.0


def main() -> None:
    """Runs it, prints the report, and exits."""
    gc.collect()
    gc.freeze()  # a pause of our own is none of the edge's
    given = _given()
    # As by Ctrl-C: what was started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = memory_limits()
    caging = open_cage(kernel=not given.watch)
    with tempfile.TemporaryDirectory(prefix="switchboard-siege-") as name, caging as cage:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user
        data = folder / "postgres"
        with serve(data) as server:
            pid = int((postgres.of(State(data, -1)).data / "postmaster.pid").read_text().split()[0])
            cage.add("postgres", limits["postgres"], pid)
            server.run("CREATE DATABASE siege")
            migrate.upgrade(server.url("siege"))
            seen = asyncio.run(_siege(folder, server.url("siege"), cage, limits, given))
    for line in told(seen):
        print(line)
    print(f"\nmemory was held {cage.way}")
    expected = {attack.name: attack.expected(given.seconds) for attack in given.attacks}
    found = complaints(seen, expected)
    print("\n".join(["", f"{len(found)} complaints", *found]))
    sys.exit(1 if found else 0)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="siege", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--calm", type=float, default=CALM_S, help="seconds of it before")
    parser.add_argument("--sockets", type=int, default=50, help="honest ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="20 s, and 10 honest sockets")
    parser.add_argument("--only", default="", help=f"of {', '.join(GROUPS)}, or attacks by name")
    parser.add_argument("--unbounded", action="store_true", help="take the budgets out")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--watch", action="store_true", help="memory by a watcher, no cgroup")
    parser.add_argument("--logs", type=Path, help="a folder in which the services' logs stay")
    given = parser.parse_args()
    given.seconds = QUICK_S if given.quick else given.minutes * 60
    given.sockets = 10 if given.quick else given.sockets
    given.calm_s = min(given.calm, given.seconds)
    given.attacks = _attacks(given.only)
    given.settings = dict(each.split("=", 1) for each in given.set)
    if given.unbounded:
        given.settings = UNBOUNDED | given.settings
    return given


def _attacks(only: str) -> list[Attack]:
    names = [name.strip() for name in only.split(";") if name.strip()]
    found: list[Attack] = []
    for name in names or GROUPS:
        found += GROUPS.get(name) or [BY_NAME[name]]
    return found


async def _siege(
    folder: Path,
    database_url: str,
    cage: Cage,
    limits: Mapping[str, int],
    given: argparse.Namespace,
) -> Seen:
    logs = given.logs or folder
    logs.mkdir(exist_ok=True)
    async with nats() as broker:
        cage.add("nats", limits["nats"], broker.pid)
        settings = {"NATS_URL": broker.url, **given.settings}
        async with caged(logs, database_url, cage, limits, **settings) as fleet:
            siege = Siege(
                fleet,
                cage,
                sockets=given.sockets,
                calm_s=given.calm_s,
                seconds=given.seconds,
                attacks=given.attacks,
                seed=given.seed,
                note=_note,
            )
            return await siege.run()


def _note(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


def told(seen: Seen) -> list[str]:
    """The report as lines."""
    lines = ["", "| process | limit MiB | most MiB | busy | |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.name} | {each.limit // MIB} | {each.peak / MIB:.0f} | {each.busy:.0%} "
        f"| {each.ended or 'lives'} |"
        for each in seen.services
    ]
    lines += ["", "| attack | sent | answered | told |", "|---|---|---|---|"]
    for name, tally in seen.told.items():
        codes = ", ".join(
            f"{count} {code}" for code, count in tally.most_common() if code not in (SENT, SERVED)
        )
        lines.append(f"| {name} | {tally[SENT]:,} | {tally[SERVED]:,} | {codes} |")
    lines += ["", "| a ping of the honest | median | p99 | most | pings |", "|---|---|---|---|---|"]
    lines += [_pings("calm", seen.calm), _pings("under attack", seen.pings)]
    lines += ["", f"{seen.answers} honest answers whole, {seen.sign_ups} newcomers under attack"]
    lines.append(f"of {os.cpu_count()} processors {seen.others:.1f} were busy with other work")
    return lines


def _pings(when: str, pings: list[float]) -> str:
    parts = [percentile(pings, part) * 1000 for part in (0.5, 0.99, 1)]
    return f"| {when} | {' | '.join(f'{part:.0f} ms' for part in parts)} | {len(pings):,} |"


if __name__ == "__main__":
    main()
