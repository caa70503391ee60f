"""Blocks as a client gets them: through the formatter, from the text that a model wrote."""

import json
from collections.abc import Mapping
from typing import Any

from formatter_svc.frames import HomeFormatter

Chart = dict[str, Any]


def chart(block: Mapping[str, Any]) -> Chart | None:
    """What is left of a chart; None: it is not shown."""
    return first_chart(json.dumps(block))


def first_chart(answer: str) -> Chart | None:
    """The first chart of an answer that is shown."""
    formatter = HomeFormatter("r1", device_connected=False)
    frames = [*formatter.open(), *formatter.text([answer]), *formatter.close()]
    blocks = [json.loads(frame.stream_block.data.utf8) for frame in frames if _is_block(frame)]
    charts = [block for block in blocks if "chartType" in block]
    return charts[0] if charts else None


def _is_block(frame: Any) -> bool:
    return bool(frame.WhichOneof("frame") == "stream_block")
