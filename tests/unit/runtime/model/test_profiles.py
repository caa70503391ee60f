"""What is known of a model, and for how long."""

import logging

import pytest
from prometheus_client import REGISTRY

from runtime.model.profiles import KEPT_S, MOST_MODELS, Changes, Lesson, Profile, Profiles

NO_STREAM_OPTIONS = Lesson("stream_options", {"stream_options": False})
NO_TEMPERATURE = Lesson("temperature", {"temperature": None})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_model_that_nobody_knows_has_the_defaults() -> None:
    assert Profiles(clock=Clock()).of("who") == Profile()


def test_later_rules_overrule_earlier_ones_field_by_field() -> None:
    rules: list[tuple[str, Changes]] = [
        ("qwen*", {"temperature": 0.7, "opens_thinking": True}),
        ("*-instruct", {"opens_thinking": False}),
    ]
    known = Profiles(rules, clock=Clock()).of("Qwen3-4B-Instruct")
    assert known == Profile(temperature=0.7, opens_thinking=False)


@pytest.mark.parametrize("name", ["gpt-x-1", "openai/gpt-x-1", "GPT-X-1", "a/b/gpt-x-1"])
def test_a_name_is_known_behind_a_gateways_prefix(name: str) -> None:
    rules = [("gpt-x*", {"tools": False})]
    assert not Profiles(rules, clock=Clock()).of(name).tools


def test_a_lesson_is_kept_for_an_hour_of_its_own_model_alone() -> None:
    clock = Clock()
    profiles = Profiles([("*", {"temperature": 1.0})], clock=clock)
    profiles.keep("a", NO_STREAM_OPTIONS)
    profiles.keep("a", NO_TEMPERATURE)
    assert profiles.of("a") == Profile(stream_options=False)
    assert profiles.of("b") == Profile(temperature=1.0)
    clock.now += KEPT_S
    assert profiles.of("a") == Profile(temperature=1.0)


def test_what_is_learned_of_countless_models_has_a_bound() -> None:
    profiles = Profiles(clock=Clock())
    for number in range(3 * MOST_MODELS):
        profiles.keep(f"m{number}", NO_STREAM_OPTIONS)
    known = [profiles.of(f"m{number}").stream_options for number in range(3 * MOST_MODELS)]
    assert known.count(False) == MOST_MODELS and known[-1] is False


def test_a_lesson_that_was_wrong_is_forgotten_and_what_names_tell_stays() -> None:
    profiles = Profiles([("*", {"temperature": None})], clock=Clock())
    for _ in range(2):
        profiles.keep("a", NO_STREAM_OPTIONS)
        profiles.forget("a", NO_STREAM_OPTIONS)
        profiles.forget("a", NO_TEMPERATURE)
        profiles.forget("b", NO_TEMPERATURE)
        assert profiles.of("a") == profiles.of("b") == Profile(temperature=None)


def test_news_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    profiles = Profiles(clock=clock)

    def counted() -> float:
        labels = {"lesson": "stream_options"}
        return REGISTRY.get_sample_value("switchboard_model_lessons_total", labels) or 0

    before = counted()
    profiles.keep("a", NO_STREAM_OPTIONS)
    profiles.keep("a", NO_STREAM_OPTIONS)
    assert [each.getMessage() for each in caplog.records] == [
        "learned of the model a, for an hour: it refuses stream_options (stream_options=False)"
    ]
    assert counted() == before + 1
    clock.now += KEPT_S + 1
    profiles.keep("a", NO_STREAM_OPTIONS)
    assert counted() == before + 2
