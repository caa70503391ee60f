"""`python -m bench.repeat`: the tests that processes, networks and time take part in, again and
again on a machine that has other work, and what failed by test.

A test that fails once in thirty runs is found neither by a quiet machine nor by one run.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

FOLDERS = ("tests/fault", "tests/e2e", "tests/integration")
BUSY = "while True: pass"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="repeat", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how often")
    parser.add_argument("--busy", type=int, default=2, help="how many busy loops run beside")
    parser.add_argument("--workers", type=int, default=2, help="how many tests run at once")
    parser.add_argument("tests", nargs="*", default=FOLDERS, help="folders, files or tests")
    return parser.parse_args()


@contextmanager
def _busy(loops: int) -> Iterator[None]:
    """So many processes that want a core each, until left."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def _run(tests: list[str], workers: int, report: Path) -> int:
    """One run; returns pytest's exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    spread = ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    done = subprocess.run(
        [*command, *spread, f"--junit-xml={report}", *tests],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout.rstrip().rpartition("\n")[2], flush=True)
    if not report.exists():
        print(done.stdout)
    return done.returncode


def _failed(report: Path) -> list[str]:
    """The tests that failed in a run."""
    cases = ElementTree.parse(report).iter("testcase")
    return [
        f"{case.get('classname')}.{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def main() -> int:
    """Exit status 1 where anything failed."""
    asked = _arguments()
    failures: Counter[str] = Counter()
    broken = 0
    with tempfile.TemporaryDirectory() as folder, _busy(asked.busy):
        for number in range(1, asked.times + 1):
            print(f"run {number} of {asked.times}: ", end="", flush=True)
            report = Path(folder) / f"{number}.xml"
            status = _run(list(asked.tests), asked.workers, report)
            found = _failed(report) if report.exists() else []
            failures.update(found)
            broken += status != 0 and not found
    for test, times in failures.most_common():
        print(f"{times:4} of {asked.times} failed  {test}")
    if broken:
        print(f"{broken:4} of {asked.times} ended without a report of their failure")
    if not failures and not broken:
        print(f"none failed in {asked.times} runs beside {asked.busy} busy loops")
    return int(bool(failures or broken))


if __name__ == "__main__":
    raise SystemExit(main())
