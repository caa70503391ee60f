"""What a token costs the formatter: `python -m bench.formatter`.

Ratios, not times: times depend on the machine. For a text block, a chart, the same chart with slips
that have to be mended, and prose, of 10 and 100 KB,
cut into tokens of 4 characters, it compares one pass with parsing all of the answer again at each
token (as a formatter does that keeps the answer in one string), and the cost of a token at 100 KB
with that at 10 KB (1: linear). Then 1 MB, a character at a time, beside 100 KB.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import orjson

from formatter_svc.json_stream import JsonStream

TOKEN: Final = 4
ROUNDS: Final = 5
# Parsing again and again is tried on so many tokens, spread over the answer.
SAMPLES: Final = 200


def text_of(size: int) -> str:
    words = "The quick brown fox jumps over the lazy dog. " * (size // 45)
    return orjson.dumps({"type": "text", "content": words}).decode()


def chart_of(size: int) -> str:
    rows = [{"month": f"M{n}", "sales": n, "costs": n * 1.5} for n in range(size // 41)]
    return orjson.dumps({"type": "chart", "chartType": "bar", "data": rows}).decode()


def slips_of(size: int) -> str:
    return chart_of(size).replace('"month"', "month").replace("},", ",},").replace(":1.5", ":3/2")


def prose_of(size: int) -> str:
    return "Some **prose** with [links](x), `code`, {braces} and {'a': 1}. " * (size // 63)


def one_pass(answer: str, token: int = TOKEN, rounds: int = ROUNDS) -> float:
    """Seconds a token, the best of some rounds."""
    tokens = [answer[i : i + token] for i in range(0, len(answer), token)]
    return min(_fed(tokens) for _ in range(rounds)) / len(tokens)


def _fed(tokens: list[str]) -> float:
    stream = JsonStream()
    started = time.perf_counter()
    for token in tokens:
        stream.feed(token)
    stream.close()
    return time.perf_counter() - started


def parsed_again(answer: str) -> float:
    """Seconds a token where each token means parsing from the start."""
    step = max(TOKEN, len(answer) // SAMPLES)
    ends = range(step, len(answer), step)
    started = time.perf_counter()
    for end in ends:
        try:
            orjson.loads(answer[:end])
        except orjson.JSONDecodeError:
            continue
    return (time.perf_counter() - started) / len(ends)


def main() -> None:
    kinds: dict[str, Callable[[int], str]] = {
        "text": text_of,
        "chart": chart_of,
        "slips": slips_of,
        "prose": prose_of,
    }
    print(f"{'answer':8}{'size':>8}{'one pass':>12}{'parsed again':>14}{'ratio':>8}{'linear':>8}")
    for name, make in kinds.items():
        small = 0.0
        for size in (10_000, 100_000):
            answer = make(size)
            once, again = one_pass(answer), parsed_again(answer)
            small = small or once
            print(
                f"{name:8}{size // 1000:>5} KB{once * 1e6:>9.2f} us{again * 1e6:>11.2f} us"
                f"{again / once:>7.1f}x{once / small:>8.2f}"
            )
    print(f"{'answer':8}{'size':>8}{'a character':>14}{'linear':>8}")
    for name, make in kinds.items():
        small, large = (one_pass(make(size), token=1, rounds=1) for size in (100_000, 1_000_000))
        print(f"{name:8}{1:>5} MB{large * 1e6:>11.2f} us{large / small:>8.2f}")


if __name__ == "__main__":
    main()
