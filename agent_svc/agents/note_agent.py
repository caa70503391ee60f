"""Looks after notes."""

from agent_svc.agents.agent import Agent
from agent_svc.catalogue import CHECKPOINT, NOTE, PROJECT, SERVER_TOOLS, TASK, of, reading

AGENT = Agent(
    name="note_agent",
    description="Notes: finding, reading, summing up, writing and changing the user's own texts.",
    prompt="""\
You look after the user's notes: finding, reading, summing up, writing and changing them.
- To find a note by what it says use search_notes; to see the newest ones use list_notes.
- Say only what the notes say, and name the note that it comes from by its title.
- When you write a note, keep the user's words and meaning; give it a short, plain title.
- To change a note's text read it first, and keep all that the user did not ask to change.""",
    tools=(*of(NOTE), *reading(TASK, PROJECT, CHECKPOINT), *SERVER_TOOLS),
)
