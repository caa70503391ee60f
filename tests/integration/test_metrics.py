"""/metrics of every service after a conversation: what an operator would read there."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.integration.conftest import Observed
from tests.support.device import Device
from tests.support.stack import environment

SERVICES = ("memory", "agent", "formatter", "router", "edge")


class Since:
    """How much numbers grew since this was made: the stack has had other guests."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._before = {service: observed.scrape(service) for service in SERVICES}

    def __call__(self, service: str, name: str, **labels: str) -> float:
        now = self._observed.scrape(service)
        return now.sum(name, **labels) - self._before[service].sum(name, **labels)


async def until(holds: Callable[[], bool], seconds: float = 15) -> None:
    """Waits until a number is there: some are counted in the background."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.1)


async def rest(device: Device, method: str, path: str) -> int:
    """The status of a REST call."""
    headers = {"Authorization": f"Bearer {device.token}"}
    async with aiohttp.request(method, device.origin + path, headers=headers) as response:
        return response.status


async def test_a_conversation_can_be_read_from_the_numbers(
    observed: Observed, watched_device: Device
) -> None:
    grown = Since(observed)
    done = await watched_device.ask("complete the report")
    popup = await (await watched_device.popup("what is overdue?")).ended()
    counted = await watched_device.ask("how many tasks do I have by status?")

    assert grown("edge", "switchboard_edge_requests_total", surface="home", code="ok") == 2
    assert grown("edge", "switchboard_edge_requests_total", surface="popup", code="ok") == 1
    assert grown("edge", "switchboard_edge_requests_total") == 3
    assert grown("edge", "switchboard_edge_first_text_seconds_count", surface="home") == 2
    assert 0 < grown("edge", "switchboard_edge_first_text_seconds_sum", surface="home") < 20
    assert grown("edge", "switchboard_edge_request_duration_seconds_count") == 3
    assert observed.scrape("edge").sum("switchboard_edge_sockets") == 1
    assert observed.scrape("edge").sum("switchboard_edge_requests_active") == 0
    changed = {"source": "tool", "op": "update"}
    assert grown("edge", "switchboard_edge_mutations_total", **changed) == 1

    assert grown("router", "switchboard_router_routed_total", agent="task_agent", by="model") == 3
    assert grown("router", "switchboard_router_turns_total", status="completed", code="ok") == 3
    assert grown("router", "switchboard_router_recall_duration_seconds_count") == 3
    assert observed.scrape("router").sum("switchboard_router_store_backlog") == 0
    assert grown("router", "switchboard_model_call_duration_seconds_count", code="ok") == 3

    tools = [*done.tools, *popup.tools, *counted.tools]
    for name in set(tools):
        labels = {"tool": name, "outcome": "result"}
        told = grown("agent", "switchboard_agent_tool_call_duration_seconds_count", **labels)
        assert told == tools.count(name)
    assert grown("agent", "switchboard_agent_runs_total", agent="task_agent", code="ok") == 3
    calls = {"operation": "chat", "code": "ok"}
    assert grown("agent", "switchboard_model_call_duration_seconds_count", **calls) == 7

    ends = (done.end, popup.end, counted.end)
    for direction in ("input", "output"):
        spent = sum(
            grown(service, "switchboard_model_tokens_total", direction=direction)
            for service in ("agent", "router")
        )
        assert spent == sum(end["usage"][f"{direction}_tokens"] for end in ends)

    blocks = "switchboard_formatter_blocks_total"
    assert grown("formatter", blocks, type="chart") == len(counted.blocks["chart"]) == 1
    assert grown("formatter", blocks, type="table") == len(counted.blocks["table"]) == 1
    assert grown("formatter", "switchboard_formatter_blocks_skipped_total") == 0

    recalls = "switchboard_memory_recall_duration_seconds_count"
    assert grown("memory", recalls, degraded="none") == 3
    await until(lambda: grown("memory", "switchboard_memory_episodes_total", outcome="stored") == 3)
    jobs = "switchboard_memory_job_duration_seconds_count"
    await until(lambda: grown("memory", jobs, kind="settle") >= 1)
    assert observed.scrape("memory").sum("switchboard_memory_database_up") == 1
    rpcs = {"method": "MemoryService/EnrichContext", "status": "OK"}
    assert grown("memory", "switchboard_rpcs_total", **rpcs) == 3


async def test_a_cancelled_request_and_a_refused_one(
    observed: Observed, watched_device: Device
) -> None:
    grown = Since(observed)
    watched_device.hold_tools = True
    running = [await watched_device.home("list my tasks") for _ in range(8)]
    for answer in running:
        await answer.until(lambda answer: bool(answer.tools))
    assert observed.scrape("edge").sum("switchboard_edge_requests_active") == 8
    assert observed.scrape("agent").sum("switchboard_rpcs_active", method="AgentService/Run") == 8

    ninth = await watched_device.ask("list my tasks")
    assert ninth.end["error"]["code"] == "too_many_requests"
    for answer in running:
        await watched_device.send({"type": "cancel", "request_id": answer.request_id})
    for answer in running:
        await answer.ended()

    ended = "switchboard_edge_requests_total"
    assert grown("edge", ended, status="failed", code="too_many_requests") == 1
    assert grown("edge", ended, status="cancelled", code="cancelled") == 8
    assert observed.scrape("edge").sum("switchboard_edge_requests_active") == 0
    called = {"tool": "list_tasks", "outcome": "cancelled"}
    seconds = "switchboard_agent_tool_call_duration_seconds_count"
    await until(lambda: grown("agent", seconds, **called) == 8)


async def test_a_dropped_socket_a_resume_and_a_loss(
    observed: Observed, watched_device: Device
) -> None:
    grown = Since(observed)
    watched_device.hold_tools = True
    answer = await watched_device.home("list my tasks")
    await answer.until(lambda answer: bool(answer.tools))
    await watched_device.socket.close()
    await watched_device.reading()
    never = "00000000-0000-4000-8000-000000000000"
    await watched_device.connect(resume={"requests": {answer.request_id: 0, never: 0}})
    assert watched_device.ready["resumed"] == [answer.request_id]

    assert grown("edge", "switchboard_edge_resumes_total", outcome="resumed") == 1
    assert grown("edge", "switchboard_edge_resumes_total", outcome="lost") == 1
    assert grown("edge", "switchboard_edge_sockets_closed_total", reason="peer") == 1
    assert observed.scrape("edge").sum("switchboard_edge_sockets") == 1
    await watched_device.send({"type": "cancel", "request_id": answer.request_id})


async def test_rest_calls_are_counted_by_route_not_by_path(
    observed: Observed, watched_device: Device
) -> None:
    grown = Since(observed)
    assert await rest(watched_device, "GET", "/api/v1/memory/core") == 200
    assert await rest(watched_device, "DELETE", "/api/v1/memory/episodic/no-such-id") == 404
    assert await rest(watched_device, "POST", "/etc/passwd") == 404

    total = "switchboard_edge_http_requests_total"
    assert grown("edge", total, route="/api/v1/memory/core", method="GET", status="200") == 1
    assert grown("edge", total, route="/api/v1/memory/{tier}/{id}", status="404") == 1
    assert grown("edge", total, route="other", method="other", status="404") == 1
    assert "passwd" not in observed.scrape("edge").text


async def test_no_number_names_a_user_a_device_or_a_request(
    observed: Observed, watched_device: Device
) -> None:
    answer = await watched_device.ask("list my notes")
    for service in SERVICES:
        text = observed.scrape(service).text
        assert watched_device.device_id not in text
        assert answer.request_id not in text
        assert "notes about" not in text


def test_a_taken_admin_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = subprocess.run(
            check=False,
            args=[sys.executable, "-m", "formatter_svc"],
            env=environment(tmp_path, ADMIN_ADDR=address, LISTEN_ADDR="127.0.0.1:0"),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ran.returncode == 2
    assert ran.stderr.strip().splitlines()[-1] == (
        "formatter_svc: bad settings: ADMIN_ADDR: cannot listen there (Address already in use)"
    )
