"""Charts through the formatter onto the page, and what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.browser import judge, plain
from tests.support import formatted, gallery

Block = Mapping[str, Any]


class Drawn:
    """Charts that the formatter lets through, drawn; beside them plain ones, to tell what is the
    charts' own."""

    def __init__(
        self,
        page: Path,
        asked: Mapping[str, Block],
        *,
        theme: str = "light",
        point: bool = False,
    ) -> None:
        shown = {name: formatted.chart(block) for name, block in asked.items()}
        plains = {f"plain {index}": chart for index, chart in enumerate(plain.charts())}
        self.asked = {**asked, **plains}
        self.blocks: dict[str, Block] = {
            **plains,
            **{name: block for name, block in shown.items() if block is not None},
        }
        self.report = asyncio.run(gallery.draw(page, self.blocks, theme=theme, point=point))
        self.charts = dict(zip(self.blocks, self.report.drawn, strict=True))
        self._vocabulary = frozenset(
            word for name in plains for word in self.charts[name].vocabulary
        )

    def names(self, prefix: str) -> list[str]:
        """Of the charts that are shown and whose names start so."""
        return [name for name in self.blocks if name.startswith(prefix)]

    def faults(self, prefix: str) -> dict[str, list[str]]:
        """What is wrong with those charts; none: nothing."""
        return {
            self._told(name): faults
            for name in self.names(prefix)
            if (faults := judge.faults(self.blocks[name], self.charts[name], self._vocabulary))
        }

    def _told(self, name: str) -> str:
        asked, shown = (json.dumps(each[name]) for each in (self.asked, self.blocks))
        return f"{name}: {asked} shown as {shown}"
