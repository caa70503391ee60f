"""Dashboard and alerts ask for what the code measures, by names and labels that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from docs.measures import ALERTS, Measure, measures

DEPLOY = ALERTS.parent.parent
MEASURES = list(measures())
BY_SERIES: dict[str, Measure] = {series: each for each in MEASURES for series in each.series}
# What Prometheus itself adds to every series, and what comes with the client library.
ADDED = {"job", "instance"}
FOREIGN = {"up", "process_resident_memory_bytes"}

SELECTED = re.compile(r"([a-zA-Z_]\w*)\{([^}]*)\}")
LABEL = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")
SERIES = re.compile(r"\b(switchboard_\w+)")


def panels() -> list[dict[str, Any]]:
    found = json.loads((DEPLOY / "grafana" / "switchboard.json").read_text("utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    for panel in panels():
        for target in panel["targets"]:
            yield f"panel {panel['title']} {target['refId']}", target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


QUERIES = dict(queries())


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_asks_for_series_and_labels_that_exist(query: str) -> None:
    asked = SERIES.findall(query)
    assert set(asked) <= set(BY_SERIES)
    for name, selectors in SELECTED.findall(query):
        known = set(BY_SERIES[name].labels) if name in BY_SERIES else set()
        assert name in BY_SERIES or name in FOREIGN, name
        assert set(LABEL.findall(selectors)) <= known | ADDED
    groups = {label.strip() for group in GROUPED.findall(query) for label in group.split(",")}
    # An aggregate is over one measure, or over several that share its labels.
    shared = set.intersection(*(set(BY_SERIES[name].labels) for name in asked)) if asked else set()
    assert groups - {""} <= shared | ADDED | ({"le"} if "_bucket" in query else set())
    assert query.count("(") == query.count(")")


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_its_query_keeps(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        kept = {label.strip() for g in GROUPED.findall(target["expr"]) for label in g.split(",")}
        if re.search(r"\bby\b|sum|max|min", target["expr"]):
            assert named <= kept, target
        else:
            assert named <= ADDED, target


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        BY_SERIES[series].name
        for panel in panels()
        for target in panel["targets"]
        for series in SERIES.findall(target["expr"])
    }
    assert shown == {each.name for each in MEASURES}


def test_panels_have_ids_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    places = [tuple(panel["gridPos"][key] for key in ("x", "y")) for panel in panels()]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())


def test_names_end_in_base_units_and_labels_name_nobody() -> None:
    for each in MEASURES:
        assert each.name.startswith("switchboard_")
        assert each.kind != "histogram" or each.name.endswith("_seconds")
        assert not {"user", "user_id", "device", "device_id", "request_id", "path"} & set(
            each.labels
        )
        assert each.told.endswith(".")


def test_an_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert {"summary", "action"} <= set(rule["annotations"])


def test_every_job_of_the_alerts_is_scraped() -> None:
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    jobs = {job["job_name"] for job in yaml.safe_load(text)["scrape_configs"]}
    named = {
        job
        for rule in rules()
        for found in re.findall(r'job=~"([^"]*)"', rule["expr"])
        for job in found.split("|")
    }
    assert named == jobs


def test_a_service_that_is_gone_is_noticed_as_one_that_is_down() -> None:
    (down,) = [rule["expr"] for rule in rules() if rule["alert"] == "SwitchboardReplicaDown"]
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    jobs = {job["job_name"] for job in yaml.safe_load(text)["scrape_configs"]}
    assert set(re.findall(r'absent\(up\{job="(\w+)"\}\)', down)) == jobs


def test_failures_of_a_model_are_counted_together_whatever_their_code() -> None:
    (fails,) = [rule["expr"] for rule in rules() if rule["alert"] == "SwitchboardModelFails"]
    failed, calls = re.findall(r"sum by \((.*?)\)", fails)
    assert failed == calls == "operation"
