"""The promises, each a small story with one server; PROTOCOL's numbers stand beside them.

Stories that need the model to misbehave use the offline model's rehearsals (a
message that begins with "rehearse"); they are left out for any other model.
"""

from client.conformance.stories import (  # noqa: F401 - each enters its stories into the list
    answers,
    continuity,
    devices,
    rest,
    tools,
    transport,
)
from client.conformance.story import PROMISES, Promise


def all_promises() -> list[Promise]:
    """Every promise, in the protocol's order."""
    return sorted(PROMISES, key=lambda p: [int(number) for number in p.section.split(".")])
