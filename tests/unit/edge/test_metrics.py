"""What the edge counts: by words of closed lists only."""

import pytest
from prometheus_client import REGISTRY

from edge import metrics
from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.errors_pb2 import CloseCode, ErrorCode
from switchboard.v3.frames_pb2 import EndStatus, ServerFrame, StreamEnd, StreamText, ToolCall
from switchboard.v3.router_pb2 import ConverseOutput


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (CloseCode.CLOSE_CODE_SLOW_CONSUMER, None, "slow_consumer"),
        (CloseCode.CLOSE_CODE_SUPERSEDED, 1006, "superseded"),
        (None, 1009, "too_large"),
        (None, 1006, "lost"),
        (None, 1000, "peer"),
        (None, 4999, "peer"),
        (None, None, "peer"),
    ],
)
def test_a_close_is_counted_by_why(ours: int | None, theirs: int | None, reason: str) -> None:
    before = value("switchboard_edge_sockets_closed_total", reason=reason)
    metrics.closed(ours, theirs)
    assert value("switchboard_edge_sockets_closed_total", reason=reason) == before + 1


def test_a_request_is_active_until_its_one_end() -> None:
    active = {"name": "switchboard_edge_requests_active", "surface": "popup"}
    ended = {"surface": "popup", "status": "failed", "code": "model_truncated"}
    before = value(**active), value("switchboard_edge_requests_total", **ended)
    request = metrics.Request(metrics.surface_of(Surface.SURFACE_POPUP))
    assert value(**active) == before[0] + 1
    error = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "It broke off.").to_proto()
    for _ in range(2):
        request.ended(StreamEnd(status=EndStatus.END_STATUS_FAILED, error=error))
    assert value(**active) == before[0]
    assert value("switchboard_edge_requests_total", **ended) == before[1] + 1


def test_only_the_first_text_is_timed() -> None:
    def count() -> float:
        return value("switchboard_edge_first_text_seconds_count", surface="home")

    before = count()
    request = metrics.Request("home")
    request.heard([ConverseOutput(frame=ServerFrame(tool_call=ToolCall(call_id="c")))])
    assert count() == before
    text = ConverseOutput(frame=ServerFrame(stream_text=StreamText(chunk="a")))
    request.heard([ConverseOutput(), text])
    request.heard([text])
    assert count() == before + 1
    request.ended(StreamEnd(status=EndStatus.END_STATUS_COMPLETED))
