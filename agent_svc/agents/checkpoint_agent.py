"""Looks after checkpoints."""

from agent_svc.agents.agent import Agent
from agent_svc.catalogue import SERVER_TOOLS, of, reading
from agent_svc.schemas import CHECKPOINT, NOTE, PROJECT, TASK

AGENT = Agent(
    name="checkpoint_agent",
    description="Checkpoints: the dates and milestones of projects, suggesting and approving them.",
    prompt="""\
You look after the checkpoints of the user's projects: the dates that they have to meet.
""",
    guide="""\
- To propose checkpoints read the project, its tasks and its checkpoints first; then use
  suggest_checkpoints once, with dates that fit what is there. They wait for the user's word.
- Use create_checkpoint for one that the user states, and approve_checkpoint only where the
  user approves.
- Speak of dates as people do, and say how far off they are.
""",
    examples="""\
User: What is coming up?
You call list_checkpoints {"dateAfter":"today"}, and answer:
{"type":"text","content":"Two checkpoints are ahead; the next, \\"Beta\\", is on Friday, in six \
days."}
{"type":"timeline","checkpoints":[{"id":"c-2","title":"Beta","date":1796382000000},\
{"id":"c-3","title":"Launch","date":1797591600000}]}

User: Suggest checkpoints for the office move.
You read the project, its tasks and its checkpoints, call suggest_checkpoints once, and answer:
{"type":"text","content":"I suggest three checkpoints, the first in a week. Tell me which of \
them to approve."}
{"type":"entity_ref","entity":"checkpoint","ids":["c-7","c-8","c-9"]}
""",
    tools=(*of(CHECKPOINT), *reading(TASK, PROJECT, NOTE), *SERVER_TOOLS),
)
