"""Which tools a run begins with; the rest of the service is held by tests/contract."""

from __future__ import annotations

from agent_svc.agents import AGENTS
from agent_svc.catalogue import SERVER_TOOLS
from agent_svc.service import offered
from switchboard.v3.agent_pb2 import RunStart
from switchboard.v3.values_pb2 import StringList

AGENT = AGENTS["note_agent"]


def test_the_tools_of_the_beginning_where_the_device_names_none() -> None:
    first = [name for name in AGENT.tools if name != "count_tasks"]
    assert offered(AGENT, RunStart(device_connected=True)) == first
    start = RunStart(device_connected=True, tools=StringList(values=AGENT.tools))
    assert offered(AGENT, start) == list(AGENT.tools)


def test_an_empty_list_differs_from_none() -> None:
    start = RunStart(device_connected=True, tools=StringList())
    assert set(offered(AGENT, start)) == set(SERVER_TOOLS)


def test_tools_that_the_agent_has_not_are_not_offered() -> None:
    start = RunStart(device_connected=True, tools=StringList(values=["delete_task", "get_note"]))
    assert set(offered(AGENT, start)) == {"get_note", *SERVER_TOOLS}


def test_no_device() -> None:
    assert set(offered(AGENT, RunStart())) == set(SERVER_TOOLS)
