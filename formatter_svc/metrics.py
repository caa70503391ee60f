"""What the formatter counts. Labels: kinds of blocks, and the closed list of reasons."""

from collections import Counter as Counts
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter

from formatter_svc.reasons import Reason
from runtime import enums
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.frames_pb2 import ServerFrame

BLOCKS: Final = Counter(
    "switchboard_formatter_blocks_total", "Blocks that were valid and went out, by type.", ["type"]
)
SKIPPED: Final = Counter(
    "switchboard_formatter_blocks_skipped_total",
    "Blocks of models' answers that were left out, by reason.",
    ["reason"],
)


def shown(frames: Iterable[ServerFrame]) -> None:
    """Counts the blocks among frames."""
    for frame in frames:
        if frame.HasField("stream_block"):
            BLOCKS.labels(enums.word(BlockType.DESCRIPTOR, frame.stream_block.block_type)).inc()


def skipped(counts: Counts[Reason]) -> None:
    """Counts what one answer left out."""
    for reason, count in counts.items():
        SKIPPED.labels(reason.value).inc(count)
