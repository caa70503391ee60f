"""Looks after checkpoints."""

from agent_svc.agents.agent import Agent
from agent_svc.catalogue import CHECKPOINT, NOTE, PROJECT, SERVER_TOOLS, TASK, of, reading

AGENT = Agent(
    name="checkpoint_agent",
    description="Checkpoints: the dates and milestones of projects, suggesting and approving them.",
    prompt="""\
You look after the checkpoints of the user's projects: the dates that they have to meet.
- To propose checkpoints read the project, its tasks and its checkpoints first; then use
  suggest_checkpoints once, with dates that fit what is there. They wait for the user's word.
- Use create_checkpoint for one that the user states, and approve_checkpoint only where the
  user approves.
- Speak of dates as people do, and say how far off they are.""",
    tools=(*of(CHECKPOINT), *reading(TASK, PROJECT, NOTE), *SERVER_TOOLS),
)
