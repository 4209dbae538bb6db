"""What a running cluster tells: metrics that the official parsers read, logs whose level changes while it runs."""

import asyncio
import json
import shutil
import subprocess
from importlib.metadata import version
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from shared.client.client import WeirClient
from shared.kafka.topics import ensure_topics
from shared.names import metrics as M
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.support.metrics import total
from tests.support.platform import PROJECT, Platform, eventually

PROMTOOL = shutil.which("promtool")
OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}
SERVICES = ("ingress", "policy", "executor", "analytics", "control")
KINDS = {family.name: (family.kind, set(family.labels)) for family in M.FAMILIES}


async def scraped(platform: Platform, http: ClientSession, service: str, **headers: str) -> str:
    """The metrics of one instance, where Prometheus looks for them."""
    process = platform.processes()[service if "-" in service else f"{service}-0"]
    async with http.get(process.ready_url.replace("/-/ready", "/metrics"), headers=headers) as answer:
        return await answer.text()


async def called(platform: Platform, http: ClientSession, path: str = "/employees/e-100", **headers: str) -> str:
    """The request id of one call."""
    async with http.get(f"{platform.ingress}/{PROJECT}{path}", headers={
            "Authorization": f"Bearer {platform.demo_token}", **headers}) as answer:
        await answer.read()
        return answer.headers["X-Request-Id"]


@pytest.mark.parametrize("service", SERVICES)
async def test_metrics_of_every_service_are_read_by_the_official_parsers_and_are_those_of_the_list(
        platform: Platform, http: ClientSession, service: str) -> None:
    await called(platform, http)
    plain, opened = [await scraped(platform, http, service), await scraped(platform, http, service, **OPEN)]
    for found in (list(families(plain)), list(open_families(opened))):
        ours = [family for family in found if family.name.startswith("weir_")]
        assert len(ours) > 20
        for family in ours:
            kind, labels = KINDS[family.name.removesuffix("_total")]
            assert family.type == kind
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == labels, family.name
        assert any(family.name.startswith("process_") for family in found)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: apt install prometheus)")
@pytest.mark.parametrize("service", SERVICES)
async def test_promtool_has_nothing_to_say_about_the_metrics(
        platform: Platform, http: ClientSession, service: str) -> None:
    text = await scraped(platform, http, service)
    done = await asyncio.to_thread(subprocess.run, [PROMTOOL or "", "check", "metrics"], input=text, text=True,
                                   capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def sample(platform: Platform, http: ClientSession, service: str, metric: str, **labels: str) -> Any:
    """One value, or None."""
    return next((one for family in open_families(await scraped(platform, http, service, **OPEN))
                 for one in family.samples if one.name == metric and labels.items() <= one.labels.items()), None)


async def test_rate_errors_and_times_of_an_operation_and_time_per_hop_are_told(
        platform: Platform, http: ClientSession) -> None:
    for _ in range(3):
        await called(platform, http)
    await called(platform, http, "/employees/e-999")
    operation = {"project": PROJECT, "operation": "get-employee"}
    for status in ("200", "404"):
        assert await sample(platform, http, "ingress", "weir_answers_total", status=status, **operation)
    assert (await sample(platform, http, "ingress", "weir_request_seconds_count", **operation)).value >= 4
    assert (await sample(platform, http, "executor", "weir_execution_seconds_count", **operation)).value >= 4
    for service, hop, part in (("ingress", "ingress", "work"), ("ingress", "replies", "queue"),
                               ("executor", "executor", "queue"), ("executor", "executor", "work")):
        assert (await sample(platform, http, service, "weir_hop_seconds_count", hop=hop, part=part)).value >= 4
    assert (await sample(platform, http, "ingress", "weir_bound_limit", bound="calls")).value == 2_048


async def test_refusals_tasks_the_loop_and_the_build_are_told(platform: Platform, http: ClientSession) -> None:
    refused = {"project": PROJECT, "operation": "get-employee", "reason": "credentials-missing"}
    before = (await total(platform, http, "policy", "weir_requests_total", **refused),
              await total(platform, http, "executor", "weir_tasks_total", project=PROJECT))
    async with http.get(f"{platform.ingress}/{PROJECT}/employees/e-100") as answer:
        assert answer.status == 401
    await called(platform, http)
    assert await total(platform, http, "policy", "weir_requests_total", **refused) == before[0] + 1
    assert await total(platform, http, "executor", "weir_tasks_total", project=PROJECT) == before[1] + 4
    for service in SERVICES:
        assert (await sample(platform, http, service, "weir_loop_lag_seconds_count")).value > 0
        built = await sample(platform, http, service, "weir_build_info", role=service, name=f"{service}-0")
        assert (built.value, built.labels["version"]) == (1, version("weir"))


async def test_signals_in_force_are_told_until_they_are_lifted(
        platform: Platform, http: ClientSession, name: str) -> None:
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\n",
        "operations.yaml": "operations: [{name: o, method: GET, path: /o, workflow: w}]",
        "workflows/w.yaml": "steps: [{id: r, reply: {body: 1}}]"}})
    already = (await sample(platform, http, "ingress", "weir_signals", action="block")).value
    platform.admin("POST", f"/projects/{name}/signals", {"kind": "ip", "subject": "203.0.113.9", "for_s": 60})

    async def told(wanted: float) -> bool:
        return all([(await sample(platform, http, service, "weir_signals", action="block")).value == wanted
                    for service in ("ingress", "policy", "control")])
    await eventually(lambda: told(already + 1))
    platform.admin("DELETE", f"/projects/{name}/signals/ip/203.0.113.9")
    await eventually(lambda: told(already))


async def test_sampled_request_is_the_exemplar_of_its_time(platform: Platform, http: ClientSession) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    await called(platform, http, traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    for service, name in (("ingress", "weir_request_seconds_bucket"), ("executor", "weir_execution_seconds_bucket")):
        text = await scraped(platform, http, service, **OPEN)
        found = [one.exemplar.labels for family in open_families(text) for one in family.samples
                 if one.name == name and one.exemplar]
        assert {"trace_id": trace_id} in found


async def test_unknown_names_make_no_series(platform: Platform, http: ClientSession, name: str) -> None:
    await called(platform, http, f"/{name}")
    async with http.get(f"{platform.ingress}/{name}/x") as answer:
        assert answer.status == 404
    assert name not in await scraped(platform, http, "ingress")


async def test_log_level_is_changed_while_a_service_runs_for_a_while_and_ended_again(platform: Platform) -> None:
    def lines() -> list[dict[str, Any]]:
        text = (platform.state_dir / "logs" / "executor-0.log").read_text()
        return [json.loads(line) for line in text.splitlines() if '"action":"log-level"' in line]
    before = len(lines())
    assert "debug for 10m" in platform.weir("log-level", "executor", "debug", "--for", "10m").stdout
    assert "executor" in platform.weir("log-level").stdout
    await eventually(lambda: len(lines()) > before, within_s=3)
    assert "level debug" in lines()[-1]["message"]
    platform.admin("PUT", "/log-levels/executor", {"level": "debug", "for_s": 0})
    await eventually(lambda: "level INFO" in lines()[-1]["message"], within_s=3)
    assert json.loads(platform.weir("log-level", "--json").stdout) == []
    refused = await asyncio.to_thread(platform.weir, "log-level", "none", check=False)
    assert (refused.returncode, "there is no service" in refused.stderr) == (1, True)


async def test_limits_that_are_nearly_spent_and_steps_tried_once_more_are_counted(
        platform: Platform, http: ClientSession, name: str) -> None:
    again = {"id": "broken", "fail": {"error": "sold-out", "message": "x"}, "fallback": 1,
             "retry": {"attempts": 3, "delay": "1ms", "on": ["sold-out"]}}
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\ntitle: T\nversion: '1'\n",
        "operations.yaml": "operations: [{name: o, method: GET, path: /o, workflow: w, public: true}]",
        "access.yaml": "policies: [{name: few, action: accept, limits: [{limit: 3, per: minute, by: operation}]}]",
        "workflows/w.yaml": json.dumps({"steps": [again, {"id": "r", "reply": {"body": 1}}]})}})
    await platform.configured(http)
    statuses = []
    for _ in range(4):
        async with http.get(f"{platform.ingress}/{name}/o") as answer:
            statuses.append(answer.status)
    assert statuses == [200, 200, 200, 429]
    # the third call leaves nothing, the fourth finds nothing
    assert await total(platform, http, "policy", "weir_limits_near_total", project=name) == 2
    assert await eventually(lambda: total(platform, http, "executor", "weir_retries_total", project=name)) == 6


async def test_access_log_says_how_calls_over_both_doors_ended(
        platform: Platform, kafka: KafkaSettings, http: ClientSession, name: str) -> None:
    await ensure_topics(platform.kafka, [
        Topic(name=f"replies.{name}", value="", writers=(), readers=(), partitions=1)])
    async with WeirClient(kafka, reply_topic=f"replies.{name}", token_digest=platform.demo_digest) as weir:
        internal = (await weir.call(PROJECT, "get-employee", params={"id": "e-100"})).request_id
        refused = (await weir.call(PROJECT, "get-employee", params={"id": "x" * 300})).request_id
    edge = await called(platform, http)

    def line(service: str, request_id: str) -> Any:
        logs = [path.read_text() for path in (platform.state_dir / "logs").glob(f"{service}-*.log")]
        return next((json.loads(one) for log in logs for one in log.splitlines()
                     if request_id in one and '"action":"request-ended"' in one), None)
    for service, request_id, status, source in (
            ("ingress", edge, 200, "edge"), ("executor", internal, 200, "internal"),
            ("policy", refused, 400, "internal")):
        found = await eventually(lambda service=service, request_id=request_id: line(service, request_id))
        assert (found["status"], found["source"], found["project"], found["operation"]) == (
            status, source, PROJECT, "get-employee")
        assert len(found["trace_id"]) == 32
