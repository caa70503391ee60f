"""Logs: where and for whom, never what was said."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from runtime import logs
from runtime.settings import Settings

log = logging.getLogger("example")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def start(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> io.StringIO:
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    logs.configure(settings, "router_svc")
    return err


def test_ids_stand_on_every_line_inside_and_on_none_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    err = start(monkeypatch, Settings())
    with logs.bind(request_id="r", user_id="u"):
        with logs.bind(device_id="d", user_id=""):
            log.info("inner %d", 1)
        log.info("outer")
    log.info("after")
    inner, outer, after = err.getvalue().splitlines()
    assert inner.endswith("info    inner 1 request_id=r user_id=u device_id=d")
    assert outer.endswith("outer request_id=r user_id=u") and after.endswith("after")


async def test_ids_go_with_the_tasks_that_were_begun_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    err = start(monkeypatch, Settings(log_format="json"))

    async def work(name: str) -> None:
        with logs.bind(request_id=name):
            await asyncio.sleep(0)
            log.info(name)

    with logs.bind(user_id="u"):
        await asyncio.gather(work("a"), work("b"))
    lines = [json.loads(line) for line in err.getvalue().splitlines()]
    assert [(line["message"], line["request_id"]) for line in lines] == [("a", "a"), ("b", "b")]
    assert {line["user_id"] for line in lines} == {"u"}


def test_a_line_of_json_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    err = start(monkeypatch, Settings(log_format="json"))
    log.warning("two\nlines")
    line = json.loads(err.getvalue())
    assert err.getvalue().count("\n") == 1
    assert line["time"].endswith("+00:00")
    del line["time"]
    assert line == {
        "level": "warning",
        "service": "router_svc",
        "logger": "example",
        "message": "two\nlines",
    }


@pytest.mark.parametrize("form", ["human", "json"])
def test_an_exception_is_named_with_its_place_and_without_its_text(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    err = start(monkeypatch, Settings.model_validate({"log_format": form}))
    try:
        int("the user's s3cret words")
    except ValueError:
        log.exception("it failed")
    assert "ValueError at test_logs.py:" in err.getvalue()
    assert "s3cret" not in err.getvalue() and err.getvalue().count("\n") == 1


def test_a_line_for_people_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    err = start(monkeypatch, Settings())
    with logs.bind(device_id="d\r\n12:00:00 error\x1b[31m\u2028\x85forged"):
        log.info("a\nb")
    assert len(err.getvalue().splitlines()) == 1
    assert err.getvalue()[:-1].isprintable()


def test_the_level_is_kept_and_libraries_stay_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    err = start(monkeypatch, Settings(log_level="warning"))
    log.info("not shown")
    assert err.getvalue() == ""
    start(monkeypatch, Settings(log_level="debug"))
    assert not logging.getLogger("openai").isEnabledFor(logging.INFO)
    assert not logging.getLogger("httpx2").isEnabledFor(logging.DEBUG)


def test_a_peer_that_goes_while_it_is_written_to_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    err = start(monkeypatch, Settings())
    grpc = logging.getLogger("grpc._cython.cygrpc")
    grpc.error("ExecuteBatchError raised in core by servicer method [%s]", "/x/Attach")
    grpc.error("another error")
    log.error("ExecuteBatchError raised in core, as we say it")
    assert [line.split("error   ")[1] for line in err.getvalue().splitlines()] == [
        "another error",
        "ExecuteBatchError raised in core, as we say it",
    ]
