"""The containers run what the code says: the same services, settings and broker."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.local.cluster import SERVICES
from services.sinks.settings import SinkSettings
from shared.settings.service import ServiceSettings
from tests.support import settings_manual
from tests.support.platform import ROOT

COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PROPERTIES = dict(line.split("=", 1) for line in (ROOT / "deploy/local/server.properties").read_text().splitlines()
                  if "=" in line and not line.startswith("#"))
WATCHING = {"prometheus", "collector", "tempo", "grafana"}
SINKS = {"webhook": "sink-webhook", "parquet": "sink-parquet"}
PLACES = {"controller.quorum.bootstrap.servers", "listeners", "advertised.listeners", "log.dirs"}


def test_every_hop_runs_and_nothing_else_does() -> None:
    services = COMPOSE["services"]
    assert set(services) - {"kafka", "valkey", "topics", "stub-hr"} - WATCHING - set(SINKS.values()) == set(SERVICES)
    assert {name for name in services if services[name].get("profiles") == ["observe"]} == WATCHING
    for name in SERVICES:
        assert services[name]["command"] == ["python", "-m", f"services.{name}"]
        assert (ROOT / "services" / name / "__main__.py").exists()
        assert services[name]["environment"]["WEIR_INSTANCE"] == f"{name}-0"
        assert services[name]["healthcheck"]


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_variables_are_fields_of_settings(name: str) -> None:
    known = settings_manual.variables() | {"WEIR_EXAMPLE_HR_URL", "WEIR_OTLP_TARGET"}
    environment = COMPOSE["services"][name].get("environment", {})
    assert {variable for variable in environment if variable.startswith("WEIR_")} <= known
    assert set(re.findall(r"WEIR_[A-Z_]*[A-Z]", DOCKERFILE)) <= known


@pytest.mark.parametrize(("kind", "name"), SINKS.items())
def test_sink_runs_if_its_profile_is_named_and_settings_make_one_of_what_it_is_told(
        kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = COMPOSE["services"][name]
    assert (sink["profiles"], sink["command"]) == ([kind], ["python", "-m", "services.sinks"])
    assert sink["depends_on"]["topics"]["condition"] == "service_completed_successfully"
    for variable, value in sink["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{(\w+):-\}", r"\1", value))
    told = SinkSettings()
    assert (told.kind, told.name, told.url) == (kind, kind, "WEIR_SINK_URL" if kind == "webhook" else "")
    if told.folder:
        # in the home of the image's user: what is mounted there belongs to it
        assert f"usage:{told.folder.parent}" in sink["volumes"]
        assert f"--home-dir {told.folder.parent} " in DOCKERFILE


def test_service_is_ended_after_it_has_drained() -> None:
    for name in (*SERVICES, *SINKS.values()):
        grace = COMPOSE["services"][name]["stop_grace_period"]
        assert int(grace.removesuffix("s")) * 1000 > ServiceSettings.model_fields["drain_ms"].default


def test_image_has_the_code_compiled_for_a_root_file_system_that_is_read_only() -> None:
    compiled = re.search(r"python -m compileall -q (.*) \\\n", DOCKERFILE)
    assert compiled
    assert {*compiled[1].split(), "examples"} == set(re.findall(r"^COPY (\w+) \./", DOCKERFILE, re.MULTILINE))
    # after the last of them
    assert DOCKERFILE.index("compileall") > DOCKERFILE.rindex("COPY ")


def test_key_goes_to_those_that_seal_and_open() -> None:
    holders = {name for name in SERVICES if "WEIR_CLUSTER_KEY" in COMPOSE["services"][name]["environment"]}
    assert holders == {"ingress", "policy", "executor", "control"}


def test_broker_has_the_settings_of_the_local_one() -> None:
    environment = COMPOSE["services"]["kafka"]["environment"]
    wanted = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in PROPERTIES.items()
              if name not in PLACES}
    assert {name: environment.get(name) for name in wanted} == wanted
    assert COMPOSE["services"]["kafka"]["image"] == "apache/kafka:4.1.0"


def test_topics_come_from_the_codes_own_list_before_any_service_starts() -> None:
    assert COMPOSE["services"]["topics"]["command"] == ["python", "-m", "shared.kafka.topics"]
    for name in SERVICES:
        assert COMPOSE["services"][name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert sorted(ports) == ["127.0.0.1:3000:3000", "127.0.0.1:8080:8080", "127.0.0.1:8081:8081",
                             "127.0.0.1:9090:9090"]


def pins(lock: Path) -> dict[str, str]:
    """Each package of a lock file with its version and hashes; who wants it is no matter."""
    lines = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
    return {entry.split("==")[0]: entry for entry in re.split(r"\n(?=\S)", "\n".join(lines))}


def test_image_has_what_runs_as_pinned_for_the_tests_and_nothing_of_theirs() -> None:
    image, tested = pins(ROOT / "deploy" / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert image.items() <= tested.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def named(wanted: list[str]) -> set[str]:
        return {re.split(r"[\[><=;]", one)[0].replace(".", "-") for one in wanted} - {"weir"}
    assert named(project["dependencies"] + extras["parquet"] + extras["image"]) <= set(image)
    assert not named(extras["dev"]) & set(image)
    assert re.search(r"COPY deploy/requirements\.lock .*\nRUN pip install .*--require-hashes -r requirements\.lock",
                     DOCKERFILE)
