"""What the formatter counts: valid blocks by type, others by reason."""

from collections import Counter

from prometheus_client import REGISTRY

from formatter_svc import metrics
from formatter_svc.frames import HomeFormatter
from formatter_svc.reasons import Reason


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_an_answer_is_counted_block_by_block() -> None:
    blocks, skipped = (
        "switchboard_formatter_blocks_total",
        "switchboard_formatter_blocks_skipped_total",
    )
    before = value(blocks, type="table"), value(skipped, reason="bad_text")
    answer = HomeFormatter("r", device_connected=False)
    frames = answer.text(
        [
            '{"type":"text","content":"hi"}{"type":"table","headers":["a"],"rows":[[1]]}{"type":"text"}'
        ]
    )
    metrics.shown([*frames, *answer.close()])
    metrics.skipped(answer.skipped)
    assert answer.skipped == Counter({Reason.BAD_TEXT: 1})
    assert value(blocks, type="table") == before[0] + 1
    assert value(skipped, reason="bad_text") == before[1] + 1
