"""The Helm chart: what it makes of the default, minimal and large values."""

from __future__ import annotations

import copy
import functools
from typing import Any, Final

import kubernetes_validate
import pytest
from helm_python.chart import lint
from helm_python.errors import HelmError

from agent_svc.settings import AgentSettings
from docs.measures import measures
from edge.settings import EdgeSettings
from formatter_svc.settings import FormatterSettings
from memory_svc.settings import DatabaseSettings, MemorySettings
from router_svc.settings import RouterSettings
from runtime.settings import Settings
from tests.support.chart import CHART, Object, container, notes, of, render, settings, values

KEYS: Final = {
    "databaseUrl": "postgresql://u:p@db:5432/switchboard",
    "masterKeys": "k" * 43 + "=",
    "authSigningKeys": "s" * 40,
}
SETS: Final[dict[str, Object]] = {
    "default": values(""),
    "minimal": values("minimal") | {"secrets": {"create": True, **KEYS}},
    "large": values("large"),
}
SETTINGS: Final[dict[str, type[Settings]]] = {
    "edge": EdgeSettings,
    "router": RouterSettings,
    "agent": AgentSettings,
    "memory": MemorySettings,
    "formatter": FormatterSettings,
    "migrate": DatabaseSettings,
}
# ARCHITECTURE: who calls whom.
CALLERS: Final = {
    "router": {"edge"},
    "agent": {"router"},
    "memory": {"edge", "router", "agent"},
    "formatter": {"router"},
}
PORTS: Final = {"edge": 8080, "router": 50051, "agent": 50052, "memory": 50053, "formatter": 50054}


rendered = functools.cache(lambda name: render(SETS[name]))


@pytest.fixture(params=SETS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    found: list[Object] = copy.deepcopy(rendered(request.param))
    return found


def component(each: Object) -> str:
    return str(each["metadata"]["labels"].get("app.kubernetes.io/component", ""))


def workloads(objects: list[Object]) -> dict[str, Object]:
    found = [each for each in objects if each["kind"] in ("Deployment", "Job")]
    return {component(each): each for each in found}


def policies(objects: list[Object]) -> dict[str, Object]:
    found = of(objects, "NetworkPolicy").values()
    component = "app.kubernetes.io/component"
    return {
        each["metadata"]["labels"][component]: each["spec"]
        for each in found
        if component in each["metadata"]["labels"]
    }


def peers(rules: list[Object] | None, port: int) -> set[str]:
    """The components that rules name for a port."""
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in rules or []
        if any(each["port"] == port for each in rule["ports"])
        for peer in rule.get("from") or rule.get("to") or []
    }


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_wrong(name: str) -> None:
    report = lint(str(CHART), SETS[name], strict=True)
    grave = [each for each in report["messages"] if each["severity"] > 1]
    assert not report["errors"] and not grave


@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_kubernetes_takes_every_object(
    objects: list[Object], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Megabytes of schemas are read for every object otherwise.
    utils = kubernetes_validate.utils
    monkeypatch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
    for each in objects:
        if not each["apiVersion"].startswith("cert-manager.io/"):
            kubernetes_validate.validate(each, version, strict=True)


def test_names_are_unique_and_in_the_namespace_of_the_release(objects: list[Object]) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))
    assert {each["metadata"]["namespace"] for each in objects} == {"prod"}


def test_every_service_is_deployed_with_settings_that_it_has(objects: list[Object]) -> None:
    found = workloads(objects)
    assert set(found) == set(SETTINGS)
    for name, workload in found.items():
        known = {field.upper() for field in SETTINGS[name].model_fields}
        known |= {f"{field}_FILE" for field in known}
        assert set(settings(workload)) <= known, name


def test_pods_meet_the_restricted_standard(objects: list[Object]) -> None:
    for name, workload in workloads(objects).items():
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        held = container(workload)["securityContext"]
        assert held["allowPrivilegeEscalation"] is False
        assert held["readOnlyRootFilesystem"] is True
        assert held["capabilities"] == {"drop": ["ALL"]}
        allowed = {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}
        assert all(set(each) - {"name"} <= allowed for each in pod["volumes"])
        assert "memory" in container(workload)["resources"]["limits"]


def test_a_secret_is_seen_only_by_who_needs_it(objects: list[Object]) -> None:
    seen = {
        name: {
            item["key"]
            for volume in workload["spec"]["template"]["spec"]["volumes"]
            for item in volume.get("secret", {}).get("items", [])
        }
        - {"nats-url"}
        for name, workload in workloads(objects).items()
    }
    assert seen == {
        "edge": {"auth-signing-keys"},
        "router": {"openai-api-key"},
        "agent": {"openai-api-key"},
        "memory": {"database-url", "master-keys", "openai-api-key"},
        "formatter": set(),
        "migrate": {"database-url"},
    }


def test_a_database_behind_a_pooler_and_an_authority_of_its_own() -> None:
    keys = {"databaseDirectUrl": "postgresql://u:p@pg:5432/x", "databaseCa": "a certificate"}
    made = render(
        {
            "database": {"pooling": "transaction", "direct": True, "ca": True},
            "secrets": {"create": True, **KEYS, **keys},
            "networkPolicy": {"database": {"port": 6432}},
        }
    )
    (secret,) = of(made, "Secret").values()
    assert secret["stringData"]["database-ca"] == "a certificate"
    found = workloads(made)
    for name in ("memory", "migrate"):
        given = settings(found[name])
        assert given["DATABASE_POOLING"] == "transaction"
        items = {
            item["key"]
            for volume in found[name]["spec"]["template"]["spec"]["volumes"]
            for item in volume.get("secret", {}).get("items", [])
        }
        for key in ("database-url", "database-direct-url", "database-ca"):
            path = given[f"{key.upper().replace('-', '_')}_FILE"]
            assert path == f"/run/secrets/switchboard/{key}"
            assert key in items
        policy = of(made, "NetworkPolicy")[f"chat-switchboard-{name}"]["spec"]
        assert _reaches(policy, 6432)
        assert _reaches(policy, 5432)


def test_a_replica_is_told_to_memory_alone() -> None:
    made = render(
        {
            "database": {"replica": True},
            "secrets": {"create": True, **KEYS, "databaseReplicaUrl": "postgresql://u:p@re:5433/x"},
            "networkPolicy": {"databaseReplica": {"port": 5433}},
        }
    )
    (secret,) = of(made, "Secret").values()
    assert secret["stringData"]["database-replica-url"] == "postgresql://u:p@re:5433/x"
    found = workloads(made)
    path = settings(found["memory"])["DATABASE_REPLICA_URL_FILE"]
    assert path == "/run/secrets/switchboard/database-replica-url"
    assert "DATABASE_REPLICA_URL_FILE" not in settings(found["migrate"])
    policies = of(made, "NetworkPolicy")
    assert _reaches(policies["chat-switchboard-memory"]["spec"], 5433)
    assert not _reaches(policies["chat-switchboard-migrate"]["spec"], 5433)


def test_each_model_may_have_a_provider_of_its_own() -> None:
    models = {
        "agentBaseUrl": "http://vllm.models:8000/v1",
        "routerBaseUrl": "https://router.example.com/v1",
        "profiles": '["qwen*"]\ntemperature = 0.6\n',
    }
    made = render(values("") | {"models": models})
    found = workloads(made)
    assert settings(found["agent"])["AGENT_BASE_URL"] == models["agentBaseUrl"]
    assert settings(found["router"])["ROUTER_BASE_URL"] == models["routerBaseUrl"]
    assert "EMBEDDING_BASE_URL" not in settings(found["memory"])
    assert "MODEL_PROFILES" not in settings(found["edge"])
    assert settings(found["agent"])["AGENT_API_KEY_FILE"].endswith("/agent-api-key")
    (profiles,) = of(made, "ConfigMap").values()
    assert profiles["data"] == {"models.toml": models["profiles"]}
    path = settings(found["memory"])["MODEL_PROFILES"]
    mounts = {
        each["name"]: each["mountPath"] for each in container(found["memory"])["volumeMounts"]
    }
    assert path == f"{mounts['models']}/models.toml"
    out = {
        name: {port["port"] for rule in policies(made)[name]["egress"] for port in rule["ports"]}
        for name in ("agent", "router")
    }
    assert 8000 in out["agent"] and 8000 not in out["router"]


def test_probes_are_native_and_liveness_waits_for_nobody(objects: list[Object]) -> None:
    for name, workload in workloads(objects).items():
        if name == "migrate":
            continue
        found = container(workload)
        alive, ready = found["livenessProbe"], found["readinessProbe"]
        if name == "edge":
            assert (
                alive["httpGet"]["path"] == found["startupProbe"]["httpGet"]["path"] == "/healthz"
            )
            assert ready["httpGet"]["path"] == "/readyz/edge", "services behind take no edge away"
        else:
            port = int(settings(workload)["HEALTH_ADDR"].rpartition(":")[2])
            assert (
                alive["grpc"] == found["startupProbe"]["grpc"] == {"port": port, "service": "alive"}
            )
            assert ready["grpc"] == {"port": port}


def test_each_service_is_found_under_the_name_that_others_dial(objects: list[Object]) -> None:
    services = of(objects, "Service")
    for name, workload in workloads(objects).items():
        for key, value in settings(workload).items():
            if not value.startswith("dns:///"):
                continue
            host, _, port = value.removeprefix("dns:///").rpartition(":")
            dialled = services[host]["spec"]
            assert dialled["clusterIP"] == "None"
            assert (
                dialled["selector"]["app.kubernetes.io/component"]
                == key.removesuffix("_ADDR").lower()
            )
            assert [each["port"] for each in dialled["ports"]] == [int(port)], name
    for each in services.values():
        target = container(workloads(objects)[component(each)])
        named = {port["name"] for port in target["ports"]}
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= named


def test_network_policies_draw_the_arrows_of_the_architecture(objects: list[Object]) -> None:
    found = policies(objects)
    for name, callers in CALLERS.items():
        assert peers(found[name]["ingress"], PORTS[name]) == callers
        for caller in PORTS:
            out = peers(found[caller].get("egress"), PORTS[name])
            assert out == ({name} if caller in callers else set()), (caller, name)
    (default,) = [
        each["spec"]
        for each in of(objects, "NetworkPolicy").values()
        if "app.kubernetes.io/component" not in each["spec"]["podSelector"]["matchLabels"]
    ]
    assert default["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in default
    assert [port["port"] for rule in default["egress"] for port in rule["ports"]] == [53, 53]
    database = [name for name, spec in found.items() if _reaches(spec, 5432)]
    assert sorted(database) == ["memory", "migrate"]
    assert sorted(name for name, spec in found.items() if _reaches(spec, 443)) == [
        *("agent", "memory", "router")
    ]


def _reaches(spec: Object, port: int) -> bool:
    rules = spec.get("egress") or []
    return any(each["port"] == port for rule in rules for each in rule["ports"])


def test_several_edges_reach_each_other_and_one_is_left_alone() -> None:
    several, alone = render({"nats": {"enabled": True}, "edge": {"replicas": 2}}), render({})
    assert of(several, "Deployment")["chat-switchboard-edge"]["spec"]["replicas"] == 2
    assert of(alone, "Deployment")["chat-switchboard-edge"]["spec"]["replicas"] == 1
    (edge,) = [
        each for each in several if component(each) == "edge" and each["kind"] == "Deployment"
    ]
    given = settings(edge)
    assert given["LISTEN_ADDR"].endswith(":50055")
    assert given["ADVERTISE_ADDR"] == "$(POD_IP):50055"
    assert given["TLS_CALLERS"] == "chat-switchboard-edge"
    assert given["NATS_URL_FILE"] == "/run/secrets/switchboard/nats-url"
    meeting = policies(several)["edge"]
    assert peers(meeting["ingress"], 50055) == peers(meeting["egress"], 50055) == {"edge"}
    assert peers(policies(alone)["edge"]["ingress"], 50055) == set()
    assert "NATS_URL_FILE" not in settings(of(alone, "Deployment")["chat-switchboard-edge"])


def test_callers_are_named_by_their_certificates(objects: list[Object]) -> None:
    certificates = of(objects, "Certificate")
    for name, workload in workloads(objects).items():
        given = settings(workload)
        if "TLS_CERT_FILE" not in given or name not in CALLERS:
            continue
        callers = set(given["TLS_CALLERS"].split(","))
        assert callers == {f"chat-switchboard-{caller}" for caller in CALLERS[name]}
        for caller in callers:
            assert caller in certificates[caller]["spec"]["dnsNames"]
    for each in certificates.values():
        if "component" in str(each["metadata"]["labels"]):
            assert {component(each), "localhost"} < set(each["spec"]["dnsNames"])


def test_certificates_are_kept_where_pods_look_for_them(objects: list[Object]) -> None:
    made = {each["spec"]["secretName"] for each in of(objects, "Certificate").values()}
    looked_for = {
        volume["secret"]["secretName"]
        for workload in workloads(objects).values()
        for volume in workload["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "tls"
    }
    assert looked_for <= made
    issuers = set(of(objects, "Issuer"))
    for each in of(objects, "Certificate").values():
        issuer = each["spec"]["issuerRef"]
        assert issuer["kind"] == "ClusterIssuer" or issuer["name"] in issuers


def test_the_database_is_brought_up_to_date_before_anything_new_runs(
    objects: list[Object],
) -> None:
    (job,) = of(objects, "Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    # What the job needs is there before it, at a first install too.
    weight = int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
    needed = [
        *of(objects, "Secret").values(),
        of(objects, "NetworkPolicy")["chat-switchboard-migrate"],
    ]
    for each in needed:
        assert int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) < weight
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]


def test_one_pod_may_always_go_and_never_the_last_two(objects: list[Object]) -> None:
    guarded = {component(each) for each in of(objects, "PodDisruptionBudget").values()}
    scaled = {
        component(each): each["spec"] for each in of(objects, "HorizontalPodAutoscaler").values()
    }
    for name, workload in workloads(objects).items():
        if name == "migrate":
            continue
        spec = workload["spec"]
        assert ("replicas" in spec) != (name in scaled)
        least = spec.get("replicas") or scaled[name]["minReplicas"]
        assert (name in guarded) == (least > 1)


def pod_metrics(values: Object) -> dict[str, dict[str, str]]:
    """By component, what is looked at beside the CPU, and its average past which pods are added."""
    return {
        component(each): {
            found["pods"]["metric"]["name"]: found["pods"]["target"]["averageValue"]
            for found in each["spec"]["metrics"]
            if found["type"] == "Pods"
        }
        for each in of(render(values), "HorizontalPodAutoscaler").values()
    }


def test_edges_are_added_for_sockets_and_bytes_too() -> None:
    looked = pod_metrics(SETS["large"])
    assert looked["edge"] == {"switchboard_edge_sockets": "24k", "switchboard_held_bytes": "160Mi"}
    assert looked["router"] == {"switchboard_held_bytes": "40Mi"}
    known = {series for each in measures() for series in each.series}
    assert {name for each in looked.values() for name in each} <= known


def test_pods_are_added_before_their_ceilings_are_met() -> None:
    edge = workloads(render(SETS["large"]))["edge"]
    assert container(edge)["resources"]["limits"] == {"memory": "2Gi"}
    settings = EdgeSettings(auth_signing_keys="k" * 40, memory_limit=2 << 30)
    assert settings.most_sockets is not None
    assert 0.5 < 24_000 / settings.most_sockets < 0.8
    assert 0.5 < (160 << 20) / settings.held_bytes < 0.8


def test_without_custom_metrics_the_cpu_alone_counts() -> None:
    looked = pod_metrics({**SETS["large"], "customMetrics": {"enabled": False}})
    assert looked and not any(looked.values())


def test_a_websocket_may_be_quiet_behind_the_ingress() -> None:
    (ingress,) = of(render(SETS["large"]), "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": "chat-switchboard-edge", "port": {"name": "http"}}
    for which in ("read", "send"):
        name = f"nginx.ingress.kubernetes.io/proxy-{which}-timeout"
        assert int(ingress["metadata"]["annotations"][name]) >= 3600
    assert ingress["spec"]["tls"][0]["hosts"] == ["switchboard.example.com"]


@pytest.mark.parametrize(
    ("ingress", "proxies", "warned"),
    [(True, [], True), (True, ["10.0.0.0/8"], False), (False, [], False)],
)
def test_the_notes_warn_of_an_ingress_that_is_not_trusted(
    ingress: bool, proxies: list[str], warned: bool
) -> None:
    given = {"ingress": {"enabled": ingress, "host": "x.example"}, "trustedProxies": proxies}
    assert ("trustedProxies is empty" in notes(given)) == warned


def test_accounts_are_the_operator_s_to_give() -> None:
    accounts = {"registration": "invitation", "mail": True, "mailFrom": "no-reply@example.com"}
    mail = {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "port": 587}
    made = render({"accounts": accounts, "networkPolicy": {"mail": mail}})
    given = settings(workloads(made)["memory"])
    assert given["REGISTRATION"] == "invitation"
    assert given["MAIL_FROM"] == "no-reply@example.com"
    assert given["MAILER_URL_FILE"] == "/run/secrets/switchboard/mailer-url"
    out = {"ports": [{"port": 587, "protocol": "TCP"}], "to": mail["to"]}
    found = policies(made)
    assert [name for name, each in found.items() if out in (each.get("egress") or [])] == ["memory"]
    assert "MAILER_URL_FILE" not in settings(workloads(render({}))["memory"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"replicaz": 3}, "replicaz"),
        ({"accounts": {"registration": "friends"}}, "registration"),
        ({"accounts": {"mail": True}, "secrets": {"create": True, **KEYS}}, "secrets.mailerUrl"),
        ({"edge": {"replicas": "two"}}, "replicas"),
        ({"tls": {"source": "none"}}, "source"),
        ({"env": {"lower": "x"}}, "lower"),
        ({"models": {"baseUrl": "models.example.com"}}, "baseUrl"),
        ({"secrets": {"existingSecret": ""}}, "existingSecret"),
        ({"secrets": {"create": True}}, "secrets.databaseUrl"),
        ({"database": {"pooling": "transaction"}}, "needs database.direct"),
        ({"memory": {"ledger": {"accessMode": "ReadWriteOnce"}}}, "memory.replicas"),
        ({"edge": {"replicas": 2}}, "several edges need nats.enabled"),
        ({"edge": {"autoscaling": {"enabled": True}}}, "several edges need nats.enabled"),
        (values("large") | {"nats": {"enabled": False}}, "several edges need nats.enabled"),
    ],
)
def test_wrong_values_are_refused_by_name(given: dict[str, Any], why: str) -> None:
    with pytest.raises(HelmError, match=why):
        render(given)


def test_two_releases_share_a_namespace() -> None:
    one = {(each["kind"], each["metadata"]["name"]) for each in render({}, "one")}
    two = {(each["kind"], each["metadata"]["name"]) for each in render({}, "two")}
    assert not one & two
