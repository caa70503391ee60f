"""Sending spans: a collector that is away must not keep a process."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

PROGRAM = """if True:
    import sys
    from runtime import observe, tracing
    from runtime.settings import Settings
    observe.start(Settings(otel_exporter_otlp_endpoint=sys.argv[1]), "test")
    for number in range(3000):
        with tracing.span("step", number=number):
            pass
"""


@pytest.fixture
def deaf() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("collector", ["deaf", "none"])
def test_a_process_ends_soon_without_its_collector(collector: str, deaf: str) -> None:
    url = deaf if collector == "deaf" else "http://127.0.0.1:1"
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, url], check=True, timeout=60, capture_output=True
    )
    assert time.monotonic() - began < 9  # devstack and containers give it ten
