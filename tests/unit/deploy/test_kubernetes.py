"""The manifests are what Kubernetes' own schemas ask for, and tell services only what they know."""

import json
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from deploy.kafka.acls import grants
from shared.names import metrics
from shared.names.topics import NAMES, TOPICS
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
    assert grace_s * 1000 > int(SETTINGS["WEIR_DRAIN_MS"])


@pytest.mark.parametrize(("name", "topic"), [
    ("ingress", "weir.replies"), ("policy", "weir.requests.edge"), ("policy", "weir.requests.internal"),
    ("executor", "weir.executions"), ("analytics", "weir.usage")])
def test_no_more_instances_than_partitions(name: str, topic: str) -> None:
    assert SCALERS[name]["maxReplicas"] <= partitions()[topic]


def test_scaling_reads_metrics_and_topics_that_are_there() -> None:
    text = "".join((FOLDER / f"{name}.yaml").read_text() for name in SCALERS)
    known = {family.name for family in vars(metrics).values() if isinstance(family, metrics.Family)}
    assert set(re.findall(r"weir_[a-z_]+", text)) <= known
    assert set(re.findall(r"topic: (\S+)", text)) <= NAMES


def test_budgets_keep_all_but_one() -> None:
    kept = {one["metadata"]["name"]: one["spec"]["maxUnavailable"] for _, one in MANIFESTS
            if one["kind"] == "PodDisruptionBudget"}
    assert kept == dict.fromkeys(set(SERVICES) - {"control"}, 1)
