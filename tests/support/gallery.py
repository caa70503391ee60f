"""The app's charts, drawn by Recharts in Chromium on a page that can reach nobody.

The page's host and the browser's proxy are one server: whatever the browser asks for arrives here,
and only the page's own files are answered.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from client import node

# A name that no resolver knows: the page comes through the proxy or not at all.
ORIGIN: Final = "http://gallery.invalid/"
_GALLERY: Final = node.WORKSPACE / "app" / "gallery"
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is drawn for a value or a series. Sizes in CSS pixels."""

    series: int
    kind: str
    width: float
    height: float
    seen: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """One chart as the browser has it; see client/app/gallery/inspect.ts."""

    error: str | None
    marks: list[Mark]
    texts: list[str]
    broken: list[str]
    foreign: list[str]
    vocabulary: list[str]
    colorless: list[str]
    spills: bool
    label: str
    table: list[list[str]]
    tooltip: str

    def seen(self, *kinds: str, series: int | None = None) -> list[Mark]:
        """The marks of these kinds that can be seen."""
        return [
            mark
            for mark in self.marks
            if mark.seen and mark.kind in kinds and series in (None, mark.series)
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of drawing: one Drawn for each block, in order."""

    drawn: list[Drawn]
    complaints: list[str]
    requests: list[str]
    # What arrived at the proxy: "GET http://host/path".
    arrived: list[str] = field(default_factory=list)

    @property
    def abroad(self) -> list[str]:
        """What the page asked for beside its own files, by its own word and by the proxy's."""
        own = (ORIGIN, f"GET {ORIGIN}", "data:,")
        asked = [*self.requests, *(each for each in self.arrived if not _is_the_browsers(each))]
        return [each for each in asked if not each.startswith(own)]


def _is_the_browsers(request: str) -> bool:
    """Chromium itself looks for updates, whatever its flags say. No test's data names its maker."""
    return bool(re.match(r"(CONNECT |POST http://)[a-z.]+\.(google|googleapis)\.com\b", request))


def chromium() -> str:
    """The program; got where it is missing."""
    script = "deploy/ci/chromium.sh"
    found = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def build(folder: Path, mode: str = "production") -> Path:
    """The page, with all that it needs. In `development` React and Recharts complain aloud."""
    node.install()
    vite = node.WORKSPACE / "node_modules" / "vite" / "bin" / "vite.js"
    built = subprocess.run(
        [node.node(), vite, "build", _GALLERY, "--outDir", folder, "--mode", mode],
        env=node.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


async def draw(
    page: Path,
    blocks: Mapping[str, Block],
    *,
    theme: str = "light",
    batch: int = 20,
    point: bool = False,
    picture: Path | None = None,
) -> Report:
    """Draws blocks, by name, on a page that `build` made."""
    async with _serving(page) as (address, arrived):
        job = {
            "browser": chromium(),
            "proxy": address,
            "page": ORIGIN,
            "cases": [{"name": name, "block": block} for name, block in blocks.items()],
            "theme": theme,
            "batch": batch,
            "point": point,
        }
        if picture is not None:
            job["picture"] = str(picture)
        told = await _drive(job)
    return Report(
        [
            Drawn(**each | {"marks": [Mark(**mark) for mark in each["marks"]]})
            for each in told["drawn"]
        ],
        told["complaints"],
        told["requests"],
        arrived,
    )


async def _drive(job: Mapping[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        node.node(),
        _GALLERY / "drive.ts",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=node.environment(),
    )
    out, err = await process.communicate(json.dumps(job).encode())
    assert process.returncode == 0, err.decode()
    told: dict[str, Any] = json.loads(out)
    return told


@asynccontextmanager
async def _serving(page: Path) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy on loopback that knows one site. Yields its address and what arrives."""
    arrived: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        target = request.raw_path
        arrived.append(f"{request.method} {target}")
        name = target.removeprefix(ORIGIN) or "index.html"
        files = {str(path.relative_to(page)): path for path in _files(page)}
        if not target.startswith(ORIGIN) or name not in files:
            return web.Response(status=403)
        kind = _TYPES.get(files[name].suffix, "application/octet-stream")
        return web.Response(body=files[name].read_bytes(), content_type=kind)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}", arrived
    finally:
        await runner.cleanup()


def _files(page: Path) -> Sequence[Path]:
    return [path for path in page.rglob("*") if path.is_file()]
