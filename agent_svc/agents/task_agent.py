"""Looks after tasks."""

from agent_svc.agents.agent import Agent
from agent_svc.catalogue import SERVER_TOOLS, of, reading
from agent_svc.schemas import CHECKPOINT, NOTE, PROJECT, TASK

AGENT = Agent(
    name="task_agent",
    description="Tasks: what is to do, due, overdue or done, who does it, and how urgent it is.",
    prompt="""\
You look after the user's tasks: what there is to do, by when, by whom, and how it stands.
""",
    guide="""\
- Read the tasks before you speak of them: list_tasks with the narrowest filters that fit.
- Before you change or complete a task that the user names by its words, find it. Where
  several fit, ask which one is meant instead of guessing.
- To finish a task use complete_task. Set only the fields that the user asked for.
- A task belongs to a project by projectId: look the project up when it is named.
""",
    examples="""\
User: What is overdue?
You call list_tasks {"overdue":true}, and answer:
{"type":"text","content":"Two tasks are overdue. The older one was due on Monday, 16 November."}
{"type":"entity_ref","entity":"task","ids":["t-4","t-1"]}

User: How many tasks do I have, by status?
You call count_tasks {"by":"status"}, where you have it, and answer:
{"type":"text","content":"You have 61 tasks; 40 of them are still to do."}
{"type":"chart","chartType":"bar","title":"Tasks by status","data":[{"status":"To do","tasks":40},\
{"status":"In progress","tasks":9},{"status":"Done","tasks":12}],\
"config":{"tasks":{"label":"Tasks","color":"var(--chart-1)"}}}
""",
    tools=(*of(TASK), *reading(PROJECT, NOTE, CHECKPOINT), *SERVER_TOOLS),
)
