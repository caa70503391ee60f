"""What a siege sets is what the services read."""

import pytest

from bench.siege.run import SHIPPED, UNBOUNDED
from edge.settings import EdgeSettings
from router_svc.settings import RouterSettings


@pytest.mark.parametrize("name", UNBOUNDED)
def test_each_budget_that_is_taken_out_is_a_setting_of_the_edge_s(name: str) -> None:
    assert name.lower() in EdgeSettings.model_fields


def test_without_budgets_nothing_is_too_much() -> None:
    told = {name.lower(): value for name, value in UNBOUNDED.items()}
    of_router = RouterSettings.model_fields
    edge = EdgeSettings.model_validate({**told, "auth_signing_keys": "k" * 40})
    router = RouterSettings.model_validate({n: v for n, v in told.items() if n in of_router})
    assert edge.held_bytes == router.held_bytes == 2**40
    assert edge.memory == router.memory == 2**40
    assert edge.cpu_share == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_rates_are_those_that_are_shipped(name: str) -> None:
    field = EdgeSettings.model_fields[name.lower()]
    assert float(SHIPPED[name]) == field.default > 0
