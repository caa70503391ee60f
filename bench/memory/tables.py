"""Tables for people."""

from collections.abc import Sequence

import numpy as np


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        if number == 0:
            print("  ".join("-" * width for width in widths))


def ms(seconds: Sequence[float], quantile: int) -> str:
    return f"{1000 * float(np.percentile(seconds, quantile)):.1f}"


def interval(values: Sequence[float], rounds: int = 2000) -> str:
    """Mean with the 95 % bootstrap interval."""
    sample = np.asarray(values, float)
    chance = np.random.default_rng(5)
    means = chance.choice(sample, (rounds, len(sample))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{sample.mean():.3f} [{low:.3f}, {high:.3f}]"
