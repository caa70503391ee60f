"""One call of a model that may teach how it wants to be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import openai

from runtime.model import refusals
from runtime.model.lessons import MOST, lesson
from runtime.model.profiles import Lesson, Profile, Profiles

T = TypeVar("T")


async def learning(profiles: Profiles, model: str, ask: Callable[[Profile], Awaitable[T]]) -> T:
    """Asks by the model's profile; where the provider refuses a part of the request by name,
    once more without it. What made the call succeed is kept. Raises what `ask` raises."""
    profile = profiles.of(model)
    tried: list[Profile] = [profile]
    learned: list[Lesson] = []
    while True:
        try:
            answer = await ask(profile)
        except openai.APIStatusError as error:
            taught = lesson(refusals.of_error(error), profile, tried)
            if taught is None or len(learned) == MOST:
                raise
            learned.append(taught)
            tried.append(profile := taught.applied(profile))
        else:
            for each in learned:
                profiles.keep(model, each)
            return answer
