"""Looks after projects."""

from agent_svc.agents.agent import Agent
from agent_svc.catalogue import CHECKPOINT, NOTE, PROJECT, SERVER_TOOLS, TASK, of, reading

AGENT = Agent(
    name="project_agent",
    description="Projects: what they are, for which client, how they stand, what belongs to them.",
    prompt="""\
You look after the user's projects: which there are, for whom, and how they stand.
- How a project stands shows in its tasks and checkpoints: read them by its projectId, and
  tell what is done, what is open, what is late, and what comes next.
- Before you change a project that the user names by its words, find it. Where several fit,
  ask which one is meant instead of guessing. Set only the fields that the user asked for.""",
    tools=(*of(PROJECT), *reading(TASK, NOTE, CHECKPOINT), *SERVER_TOOLS),
)
