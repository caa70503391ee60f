"""What the formatter may be told."""

from __future__ import annotations

import pytest

from formatter_svc.settings import FormatterSettings
from runtime.settings import load


def test_defaults() -> None:
    assert load(FormatterSettings, "formatter_svc", {}).listen_addr == "127.0.0.1:50054"


def test_a_bad_address_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(FormatterSettings, "formatter_svc", {"LISTEN_ADDR": "nowhere"})
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told == "formatter_svc: bad settings: LISTEN_ADDR: is not host:port\n"
