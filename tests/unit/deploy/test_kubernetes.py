"""The manifests are what Kubernetes' own schemas ask for, and tell services only what they know."""

import json
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from deploy.kafka.acls import grants
from shared.names import metrics as M
from shared.names import topics
from shared.names.topics import TOPICS
from tests.bench.capacity import BUSY
from tests.support.platform import ROOT
from tests.support.settings_manual import variables

FOLDER = ROOT / "deploy/kubernetes"
KUBERNETES = "1.31"
SERVICES = ("ingress", "policy", "executor", "analytics", "control")
# added to the others by whoever wants them
SINKS = ("sink-webhook", "sink-parquet")


def documents(name: str) -> list[Any]:
    return list(YAML(typ="safe").load_all((FOLDER / name).read_text()))


MANIFESTS = [(path.name, one) for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"
             for one in documents(path.name)]
SETS = {one["metadata"]["name"]: one for _, one in MANIFESTS if one["kind"] == "StatefulSet"}
SCALERS = {one["metadata"]["name"]: one["spec"] for _, one in MANIFESTS if one["kind"] == "HorizontalPodAutoscaler"}
SETTINGS = documents("settings.yaml")[0]["data"]


def container(name: str) -> Any:
    return SETS[name]["spec"]["template"]["spec"]["containers"][0]


def partitions() -> dict[str, int]:
    return {topic.name: topic.partitions for topic in TOPICS} | json.loads(SETTINGS["WEIR_KAFKA_PARTITIONS"])


@pytest.mark.parametrize(("file", "manifest"), MANIFESTS, ids=[f"{file}-{one['kind']}" for file, one in MANIFESTS])
def test_manifest_fits_the_official_schema(file: str, manifest: Any) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_every_service_and_every_file_is_deployed() -> None:
    assert set(SETS) == {*SERVICES, *SINKS}
    listed = documents("kustomization.yaml")[0]["resources"]
    assert sorted(listed) == sorted({file for file, _ in MANIFESTS} - {f"{name}.yaml" for name in SINKS})


@pytest.mark.parametrize("name", SINKS)
def test_sink_runs_once_under_its_own_principal_and_is_explained(name: str) -> None:
    told = {one["name"]: one for one in container(name)["env"]}
    assert (SETS[name]["spec"]["replicas"], name in SCALERS) == (1, False)
    assert f"sink-{told['WEIR_SINK_KIND']['value']}" == name
    assert told["WEIR_KAFKA_SASL_USERNAME"]["value"] in {grant.principal for grant in grants()}
    text = (FOLDER / "README.md").read_text()
    assert f"{name}.yaml" in text
    # whoever follows the page has made every secret that the sink reads
    for one in told.values():
        if secret := one.get("valueFrom", {}).get("secretKeyRef"):
            assert f"--from-literal={secret['key']}=" in text.partition(f"generic {secret['name']} ")[2]


def before_stop_s(name: str) -> int:
    """How long it goes on before it is told to stop."""
    command = container(name).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
    assert command[0] == "sleep"
    return int(command[1])


def named_variables() -> Iterator[str]:
    yield from SETTINGS
    for name in SETS:
        yield from (one["name"] for one in container(name)["env"])


def test_services_are_told_only_what_they_know() -> None:
    assert set(named_variables()) <= variables()


@pytest.mark.parametrize("name", SERVICES)
def test_pod_keeps_its_name_and_is_its_own_principal(name: str) -> None:
    told = {one["name"]: one for one in container(name)["env"]}
    assert told["WEIR_INSTANCE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert told["WEIR_KAFKA_SASL_USERNAME"]["value"] == f"weir-{name}"
    # what is drained has to be over before the pod is killed
    grace_s = SETS[name]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert (grace_s - before_stop_s(name)) * 1000 > int(SETTINGS["WEIR_DRAIN_MS"])


def test_edge_takes_connections_until_nobody_is_sent_to_it_any_more() -> None:
    assert before_stop_s("ingress") == 5


@pytest.mark.parametrize(("name", "topic"), [
    ("ingress", "weir.replies"), ("policy", "weir.requests.edge"), ("policy", "weir.requests.internal"),
    ("executor", "weir.executions"), ("analytics", "weir.usage")])
def test_no_more_instances_than_partitions(name: str, topic: str) -> None:
    assert SCALERS[name]["maxReplicas"] <= partitions()[topic]


@pytest.mark.parametrize("name", sorted(SCALERS))
def test_pod_is_as_full_as_the_capacity_model_has_it(name: str) -> None:
    [cpu] = [one["resource"]["target"] for one in SCALERS[name]["metrics"] if "resource" in one]
    assert cpu == {"type": "AverageValue", "averageValue": f"{1000 * BUSY:.0f}m"}
    # what a pod is held at is what its node keeps for it
    assert container(name)["resources"]["requests"]["cpu"] == cpu["averageValue"]


@pytest.mark.parametrize("name", sorted(SCALERS))
def test_autoscaler_alone_says_how_many_pods_there_are(name: str) -> None:
    assert "replicas" not in SETS[name]["spec"]


def scaled_by(name: str) -> Iterator[tuple[str, str]]:
    """Metric, and the topic of one that is a topic's."""
    for one in SCALERS[name]["metrics"]:
        if "resource" in one:
            yield one["resource"]["name"], ""
        else:
            metric = (one.get("pods") or one["external"])["metric"]
            yield metric["name"], metric.get("selector", {}).get("matchLabels", {}).get("topic", "")


@pytest.mark.parametrize(("name", "by"), [
    # nothing waits for the edge in a topic: its callers do
    ("ingress", {(M.IN_FLIGHT.name, "")}),
    ("policy", {(M.CONSUMER_LAG.name, topics.REQUESTS_EDGE), (M.CONSUMER_LAG.name, topics.REQUESTS_INTERNAL),
                (M.RECORDS_OPEN.name, "")}),
    ("executor", {(M.CONSUMER_LAG.name, topics.EXECUTIONS), (M.RECORDS_OPEN.name, "")}),
    # it has nothing in hand beyond what it has read
    ("analytics", {(M.CONSUMER_LAG.name, topics.USAGE)})])
def test_pods_come_for_what_waits_and_for_what_is_in_hand(name: str, by: set[tuple[str, str]]) -> None:
    assert set(scaled_by(name)) == {("cpu", ""), *by}


def test_adapter_tells_what_scaling_asks_for() -> None:
    rules = YAML(typ="safe").load((ROOT / "deploy/prometheus/adapter.yml").read_text())
    told = {metric for kind in rules.values() for rule in kind for metric in re.findall(r"weir_[a-z_]+",
                                                                                      rule["seriesQuery"])}
    assert told == {metric for name in SCALERS for metric, _ in scaled_by(name)} - {"cpu"}
    # by these labels pods and topics are told apart; Prometheus has to put them there
    scraped = YAML(typ="safe").load((ROOT / "deploy/prometheus/kubernetes.yml").read_text())["scrape_configs"][0]
    assert {"namespace", "pod"} <= {one.get("target_label") for one in scraped["relabel_configs"]}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"control"}))
def test_pods_are_spread_over_zones_and_hosts(name: str) -> None:
    spec = SETS[name]["spec"]["template"]
    spread = {one["topologyKey"]: one["labelSelector"]["matchLabels"]
              for one in spec["spec"]["topologySpreadConstraints"]}
    assert spread == dict.fromkeys(("topology.kubernetes.io/zone", "kubernetes.io/hostname"),
                                   spec["metadata"]["labels"])


def test_edge_reads_the_partition_that_has_its_number() -> None:
    [slot] = [one for one in container("ingress")["env"] if one["name"] == "WEIR_INGRESS_SLOT"]
    assert slot["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"


def test_budgets_keep_all_but_one() -> None:
    kept = {one["metadata"]["name"]: one["spec"]["maxUnavailable"] for _, one in MANIFESTS
            if one["kind"] == "PodDisruptionBudget"}
    assert kept == dict.fromkeys(set(SERVICES) - {"control"}, 1)
