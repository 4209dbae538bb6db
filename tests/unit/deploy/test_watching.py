"""Rules, dashboards and scrape settings speak of what services tell, and pass the official checkers."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from ruamel.yaml import YAML

from deploy.grafana.__main__ import files
from deploy.local.cluster import SERVICES
from shared.names import metrics as M
from shared.names import topics
from shared.telemetry.series import BOUNDS_S
from tests.support.platform import ROOT
from tests.unit.deploy.test_compose import COMPOSE, SINKS, WATCHING

PROMETHEUS = ROOT / "deploy/prometheus"
FAMILIES = {family.name: family for family in M.FAMILIES}
# what Prometheus adds to each series: who was asked
OF_THE_TARGET = {"job", "service", "instance"}
OTHERS = {"up", "process_start_time_seconds"}
WORDS = {"sum", "max", "min", "count", "rate", "increase", "changes", "histogram_quantile", "by", "and", "or"}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: apt install "
                                                             "prometheus); CI installs it")


def yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


RULES = [rule for name in ("slo.yml", "alerts.yml") for group in yaml(PROMETHEUS / name)["groups"]
         for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}


def panels() -> Iterator[tuple[str, str]]:
    """Panel, expression."""
    for name, board in DASHBOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{name}/{panel['title']}", target["expr"]


EXPRESSIONS = [*((rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES), *panels()]


def suffixes(family: M.Family) -> tuple[str, ...]:
    return {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[family.kind]


SHOWN = {family.name + suffix: family for family in M.FAMILIES for suffix in suffixes(family)}


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_expression_names_only_metrics_and_labels_that_services_tell(where: str, expr: str) -> None:
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", expr)
    selected = re.findall(r"\b([a-z_][a-z0-9_:]*)\{([^}]*)\}", bare)
    names = set(re.findall(r"\b[a-z_][a-z0-9_]*:[a-z0-9_:]+|\b(?:weir_|process_|up\b)[a-z0-9_]*", bare))
    assert names
    for name in names:
        assert name in SHOWN or name in RECORDED or name in OTHERS, name
    for name, labels in selected:
        family = SHOWN.get(name)
        known = set(family.labels if family else ()) | OF_THE_TARGET | ({"le"} if name.endswith("_bucket") else set())
        assert set(re.findall(r"([a-z]+)\s*(?:=~|!~|!=|=)", labels)) <= known, name
    grouped = {label for group in re.findall(r"by \(([^)]*)\)", bare) for label in re.split(r",\s*", group)}
    for name in names & set(SHOWN):
        assert grouped <= set(SHOWN[name].labels) | OF_THE_TARGET | {"le"}, name


def test_latency_objective_is_a_bound_of_the_histogram() -> None:
    bounds = {found for _, expr in EXPRESSIONS for found in re.findall(r'le="([^"]+)"', expr)}
    assert bounds == {"1.0"}
    assert bounds <= {str(bound) for bound in BOUNDS_S}


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    pages = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README"}
    assert {f"docs/runbooks/{page}.md" for page in pages} == {
        rule["annotations"]["runbook"] for rule in ALERTS.values()}
    index = (ROOT / "docs/runbooks/README.md").read_text()
    for name, rule in ALERTS.items():
        page = ROOT / rule["annotations"]["runbook"]
        text = page.read_text()
        assert text.startswith(f"# {name}\n")
        assert all(part in text for part in ("**What it means.**", "**What callers notice.**", "## Look", "do |"))
        assert f"[{name}]({page.name}) | {rule['labels']['severity']} |" in index
        assert {"summary", "description"} <= rule["annotations"].keys()


def test_error_budgets_are_watched_over_several_windows() -> None:
    for what in ("errors", "slow"):
        assert {name for name in RECORDED if f":{what}:" in name} == {
            f"weir:{what}:ratio_rate{window}" for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")}
        used = [name for rule in ALERTS.values() for name in re.findall(rf"weir:{what}:\w+", rule["expr"])]
        assert len(set(used)) == 7


def test_dashboards_are_what_the_code_says() -> None:
    assert {path: path.read_text() for path in files()} == files(), "run: python -m deploy.grafana"
    assert {path.stem for path in files()} == set(DASHBOARDS)
    assert all(len(board["panels"]) >= 6 for board in DASHBOARDS.values())


def unknown(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Members that Grafana's model does not have, or understands in another way."""
    if isinstance(ours, dict):
        return [found for key, value in ours.items() for found in (
            unknown(value, theirs[key], f"{where}/{key}") if isinstance(theirs, dict) and key in theirs
            else [f"{where}/{key}"])]
    if isinstance(ours, list):
        return [found for number, (one, other) in enumerate(zip(ours, theirs, strict=True))
                for found in unknown(one, other, f"{where}/{number}")]
    return [] if ours == theirs else [where]


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_dashboard_is_one_that_grafanas_own_model_understands(name: str) -> None:
    register_default_plugins()

    def read(doc: Any) -> Any:
        return json.loads(JSONEncoder().encode(Dashboard.from_json(doc)))
    board = DASHBOARDS[name]
    assert unknown(board, read(board)) == []
    wrong = {**board, "panels": [{**board["panels"][0], "gridPlace": 1}]}
    assert unknown(wrong, read(wrong)) == ["/panels/0/gridPlace"]


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    for board in DASHBOARDS.values():
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"])


OF_REQUESTS = {f"weir_{name}" for name in (
    "answers_total", "requests_total", "requests_expired_total", "limits_near_total", "limits_local_total",
    "observed_outcomes_total", "execution_seconds_count")}


def test_panels_say_of_requests_alone_that_they_are_requests_and_tell_their_lines_apart() -> None:
    for board in DASHBOARDS.values():
        for panel in board["panels"]:
            names = {name for target in panel["targets"] for name in re.findall(r"weir_[a-z_]+", target["expr"])}
            unit = panel["fieldConfig"]["defaults"]["unit"]
            assert unit != "reqps" or names <= OF_REQUESTS, panel["title"]
            assert (unit in ("reqps", "cps")) == all(
                target["expr"].startswith("sum by") and "rate(" in target["expr"] and "/" not in target["expr"]
                for target in panel["targets"]), panel["title"]
            for target in panel["targets"]:
                grouped = re.search(r"by \(((?!le\))[^)]+)\)", target["expr"])
                assert bool(grouped) <= ("{{" in target["legendFormat"]), target["expr"]


def test_every_service_is_scraped_where_the_containers_tell() -> None:
    job, = yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    targets = {static["labels"]["service"]: static["targets"] for static in job["static_configs"]}
    assert targets == {name: [f"{name}:9100"] for name in SERVICES}
    # one of which no process is left is told by nobody
    absent = re.findall(r'absent\(up\{job="weir", service="(\w+)"', ALERTS["WeirServiceDown"]["expr"])
    assert sorted(absent) == sorted(SERVICES)
    assert [(found["names"], found["port"]) for found in job["dns_sd_configs"]] == [([*SINKS.values()], 9100)]
    for name in (*SERVICES, *SINKS.values()):
        assert COMPOSE["services"][name]["environment"]["WEIR_HEALTH_PORT"] == "9100"


def test_pods_are_scraped_under_the_labels_that_rules_use_and_ended_within_half_a_minute_of_silence() -> None:
    job, = yaml(PROMETHEUS / "kubernetes.yml")["scrape_configs"]
    assert job["job_name"] == "weir"
    assert {rule.get("target_label") for rule in job["relabel_configs"]} - {None} == {"service", "instance",
                                                                                      "namespace", "pod"}
    for name in SERVICES:
        pods = next(one for one in YAML(typ="safe").load_all((ROOT / f"deploy/kubernetes/{name}.yaml").read_text())
                    if one["kind"] == "StatefulSet")["spec"]["template"]
        assert pods["metadata"]["labels"] == {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "weir"}
        container, = pods["spec"]["containers"]
        assert "health" in {port["name"] for port in container["ports"]}
        probe = container["livenessProbe"]
        assert probe["httpGet"]["path"] == "/-/live"
        # three in a row, as Kubernetes has it
        assert probe["periodSeconds"] * probe.get("failureThreshold", 3) + probe["timeoutSeconds"] < 30


def test_collector_reads_the_spans_as_they_are_written_and_uses_what_it_defines() -> None:
    collector = yaml(ROOT / "deploy/otel/collector.yaml")
    assert collector["receivers"]["kafka"]["traces"] == {"topics": [topics.SPANS], "encoding": "otlp_proto"}
    # the group that its principal may read with
    assert collector["receivers"]["kafka"]["group_id"].startswith("weir-collector")
    service = collector["service"]
    assert set(service["extensions"]) == set(collector["extensions"])
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in service["pipelines"].values() for name in pipeline[kind]} == set(collector[kind])
    wanted = set(re.findall(r"\$\{env:(\w+)\}", (ROOT / "deploy/otel/collector.yaml").read_text()))
    assert wanted == set(COMPOSE["services"]["collector"]["environment"])


def test_collector_that_tests_build_is_the_release_that_runs() -> None:
    release = COMPOSE["services"]["collector"]["image"].partition(":")[2]
    built = yaml(ROOT / "deploy/otel/builder.yaml")
    modules = [module["gomod"] for kind in ("extensions", "receivers", "processors", "exporters")
               for module in built[kind]]
    assert {module.partition(" ")[2] for module in modules} == {f"v{release}"}
    assert built["dist"]["version"] == release
    assert f"/builder@v{release} " in (ROOT / "Makefile").read_text()


def test_containers_that_watch_find_their_files_and_each_other() -> None:
    for name in WATCHING:
        for mount in COMPOSE["services"][name].get("volumes", ()):
            source = mount.partition(":")[0]
            assert (ROOT / source).is_dir() if source.startswith("./") else source in COMPOSE["volumes"]
    for path in ("datasources/weir.yaml", "dashboards/weir.yaml"):
        assert yaml(ROOT / "deploy/grafana/provisioning" / path)["apiVersion"] == 1
    sources = yaml(ROOT / "deploy/grafana/provisioning/datasources/weir.yaml")["datasources"]
    assert {re.split(r"[/:]+", source["url"])[1] for source in sources} <= set(COMPOSE["services"])


def promtool(*arguments: str) -> None:
    done = subprocess.run([PROMTOOL or "", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@needs_promtool
def test_promtool_accepts_the_scrape_settings_and_rules(tmp_path: Path) -> None:
    promtool("check", "config", "prometheus.yml")
    pods = yaml(PROMETHEUS / "kubernetes.yml")
    # Debian builds Prometheus without the clients of clouds
    assert pods["scrape_configs"][0].pop("kubernetes_sd_configs")[0]["role"] == "pod"
    pods["rule_files"] = [str(PROMETHEUS / name) for name in pods["rule_files"]]
    (tmp_path / "pods.yml").write_text(json.dumps(pods))
    promtool("check", "config", str(tmp_path / "pods.yml"))


@needs_promtool
@pytest.mark.parametrize("name", ["test-alerts.yml", "test-budgets.yml"])
def test_alerts_fire_when_they_should_and_not_otherwise(name: str) -> None:
    promtool("test", "rules", name)


@needs_promtool
def test_promtool_accepts_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    rules = [{"record": f"panel:n{number}", "expr": re.sub(r"\$__rate_interval", "5m", expr)}
             for number, (_, expr) in enumerate(panels())]
    assert len(rules) > 40
    written = tmp_path / "panels.yml"
    written.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(written))
