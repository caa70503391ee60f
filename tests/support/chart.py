"""The Helm chart, rendered by Helm's own engine; no cluster and no network are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from helm_python.chart import Chart

CHART: Final = Path("deploy/helm")
Object = dict[str, Any]


def values(name: str) -> Object:
    """A set of values: the chart's own (""), or one of its values-NAME.yaml."""
    if not name:
        return {}
    loaded: Object = yaml.safe_load((CHART / f"values-{name}.yaml").read_text())
    return loaded


def render(
    given: Mapping[str, Any], release: str = "chat", namespace: str = "prod"
) -> list[Object]:
    """All objects that an install would make, hooks among them."""
    with Chart.load(str(CHART)) as chart:
        texts = chart.render(values=dict(given), name=release, namespace=namespace)
    manifests = [text for path, text in sorted(texts.items()) if not path.endswith(".txt")]
    found = [each for text in manifests for each in yaml.safe_load_all(text)]
    return [each for each in found if each]


def notes(given: Mapping[str, Any]) -> str:
    """What an install says when it is done."""
    with Chart.load(str(CHART)) as chart:
        texts = chart.render(values=dict(given), name="chat", namespace="prod")
    (found,) = (text for path, text in texts.items() if path.endswith("NOTES.txt"))
    return str(found)


def of(objects: Sequence[Object], kind: str) -> dict[str, Object]:
    """Objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def container(workload: Object) -> Object:
    """A workload's one container."""
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def settings(workload: Object) -> dict[str, str]:
    """A workload's environment, but for what Kubernetes fills in."""
    return {each["name"]: each["value"] for each in container(workload)["env"] if "value" in each}
