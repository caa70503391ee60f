"""Calls that are mended by what their refusal says."""

import openai
import pytest

from runtime.model.asking import learning
from runtime.model.lessons import MOST
from runtime.model.profiles import Profile, Profiles
from tests.unit.runtime.model.errors import saying


class Picky:
    """A provider that refuses, by name, whatever it does not take."""

    def __init__(self, **wanted: object) -> None:
        self.wanted = wanted
        self.asked: list[Profile] = []

    async def __call__(self, profile: Profile) -> str:
        self.asked.append(profile)
        for field, value in self.wanted.items():
            if getattr(profile, field) != value:
                raise saying(400, f"Unsupported parameter: {field}", param=field)
        return "answered"


def profiles() -> Profiles:
    return Profiles([("*", {"temperature": 1.0, "parallel_tool_calls": True})], clock=lambda: 0)


async def test_one_call_is_mended_several_times_and_the_next_not_at_all() -> None:
    known, picky = profiles(), Picky(stream_options=False, parallel_tool_calls=None)
    assert await learning(known, "m", picky) == "answered"
    assert len(picky.asked) == 3
    assert await learning(known, "m", picky) == "answered"
    assert len(picky.asked) == 4


async def test_nothing_is_kept_of_a_call_that_failed_all_the_same() -> None:
    known = profiles()

    async def failing(profile: Profile) -> None:
        if profile.stream_options:
            raise saying(400, "Unknown parameter: 'stream_options'.", param="stream_options")
        raise saying(401, "bad key")

    with pytest.raises(openai.AuthenticationError):
        await learning(known, "m", failing)
    assert known.of("m").stream_options


async def test_a_provider_that_refuses_whatever_it_is_sent_is_left_in_peace() -> None:
    asked: list[Profile] = []

    async def moody(profile: Profile) -> None:
        asked.append(profile)
        raise saying(400, f"Use other than {profile.max_tokens_field}", param="max_tokens")

    with pytest.raises(openai.BadRequestError):
        await learning(Profiles([("*", {"max_output_tokens": 9})], clock=lambda: 0), "m", moody)
    assert len(asked) <= MOST + 1
