"""Which provider a process asks, and with which key."""

import pytest
from pydantic import SecretStr

from agent_svc.settings import AgentSettings
from memory_svc.settings import MemorySettings
from router_svc.settings import RouterSettings
from runtime.model.client import ModelSettings, client

COMMON = {"openai_base_url": "http://common/v1", "openai_api_key": SecretStr("sk-common")}


@pytest.mark.parametrize(
    ("cls", "prefix"),
    [(AgentSettings, "agent"), (RouterSettings, "router"), (MemorySettings, "embedding")],
)
def test_each_may_have_its_own_and_has_the_common_one_else(
    cls: type[ModelSettings], prefix: str
) -> None:
    def asks(**told: object) -> tuple[str, str, str]:
        found = cls.model_construct(**{**COMMON, **told}).endpoint  # type: ignore[arg-type]
        return found.base_url, found.api_key.get_secret_value(), found.key_name

    url, key = f"{prefix}_base_url", f"{prefix}_api_key"
    assert asks() == ("http://common/v1", "sk-common", "OPENAI_API_KEY")
    assert asks(**{url: "http://own/v1"}) == ("http://own/v1", "sk-common", "OPENAI_API_KEY")
    assert asks(**{url: "http://own/v1", key: SecretStr("sk-own")}) == (
        *("http://own/v1", "sk-own"),
        f"{prefix.upper()}_API_KEY",
    )
    assert asks(**{key: SecretStr("sk-own")})[:2] == ("http://common/v1", "sk-own")


async def test_a_client_asks_the_endpoint_that_it_is_made_for() -> None:
    settings = AgentSettings(agent_base_url="http://own/v1", agent_api_key="sk-own")
    async with client(settings) as own, client(settings, settings.common) as common:
        assert (str(own.base_url), own.api_key) == ("http://own/v1/", "sk-own")
        assert (str(common.base_url), common.api_key) == ("https://api.openai.com/v1/", "none")
    assert "sk-own" not in repr(settings)
