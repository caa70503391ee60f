"""The words that tell why a block was left out."""

from pathlib import Path

from formatter_svc.reasons import Reason

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"


def test_the_protocol_lists_every_reason() -> None:
    [reasons] = [
        each
        for each in PROTOCOL.read_text("utf-8").split("\n\n")
        if each.startswith("The reasons: ")
    ]
    assert reasons.split("`")[1::2] == [reason.value for reason in Reason]
