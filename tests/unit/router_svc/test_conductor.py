"""The conductor: faults of our own. Its stories stand in tests/contract/test_router_service.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from router_svc.backlog import Backlog
from router_svc.conductor import Conductor, Limits, Services
from router_svc.intent import Classifier
from router_svc.routing import Question, Verdict
from runtime.channels import dial
from runtime.model import client as model
from runtime.model.client import ModelSettings
from runtime.settings import Settings
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.agent_pb2_grpc import AgentServiceStub
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.formatter_pb2_grpc import FormatterServiceStub
from switchboard.v3.frames_pb2 import EndStatus
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub
from switchboard.v3.router_pb2 import ConverseOutput, ConverseStart
from tests.support.peers import Peers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START = ConverseStart(user_id="u1", surface=Surface.SURFACE_HOME, message="Hello")


class Broken(Classifier):
    """A classifier with a bug."""

    async def classify_intent(self, question: Question) -> Verdict:
        raise ZeroDivisionError


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    settings = Settings()
    async with (
        Peers() as peers,
        dial(peers.agent_addr, settings) as agent,
        dial(peers.formatter_addr, settings) as formatter,
        dial(peers.memory_addr, settings) as memory,
        model.client(ModelSettings(openai_base_url="http://127.0.0.1:9/v1")) as client,
    ):
        stub = MemoryServiceStub(memory)
        yield Services(
            Broken(client, "m", timeout_s=1, min_confidence=0.5),
            AgentServiceStub(agent),
            FormatterServiceStub(formatter),
            stub,
            Backlog(stub, timeout_s=1, limit=10),
        )


def tasks_of_the_router() -> set[asyncio.Task[Any]]:
    """The tasks that run its code; gRPC's servers beside it come and go as they like."""
    codes = {task: getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()}
    return {task for task, code in codes.items() if code and "router_svc/" in code.co_filename}


async def test_a_bug_ends_the_turn_as_internal_and_leaves_nothing(services: Services) -> None:
    before = tasks_of_the_router()
    conductor = Conductor("r1", START, services, Limits())
    conductor.begin()
    outputs: list[ConverseOutput] = []
    async with asyncio.timeout(5):
        while batch := await conductor.outputs.take():
            outputs += batch
        await conductor.close()
    (end,) = [output.frame.stream_end for output in outputs]
    assert (end.status, end.error.code) == (
        EndStatus.END_STATUS_FAILED,
        ErrorCode.ERROR_CODE_INTERNAL,
    )
    assert tasks_of_the_router() == before


async def test_closing_one_that_runs_lets_everything_go(services: Services) -> None:
    before = tasks_of_the_router()
    conductor = Conductor("r1", START, services, Limits())
    conductor.begin()
    await conductor.close()
    await conductor.close()
    assert await conductor.outputs.take() == []
    assert tasks_of_the_router() == before
