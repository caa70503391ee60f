"""Pictures of the given charts, to be looked at: build/charts-light.png and charts-dark.png."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.browser.cases import corpus, given
from tests.support import formatted, gallery


def main() -> None:
    """Draws them in both themes."""
    shown = {name: formatted.chart(block) for name, block in {**given(), **corpus()}.items()}
    blocks = {name: block for name, block in shown.items() if block is not None}
    build = Path("build")
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page = gallery.build(Path(folder))
        for theme in ("light", "dark"):
            picture = (build / f"charts-{theme}.png").absolute()
            asyncio.run(gallery.draw(page, blocks, theme=theme, batch=len(blocks), picture=picture))
            print(picture)  # noqa: T201


if __name__ == "__main__":
    main()
