"""The OpenTelemetry Collector, with the settings that `deploy/otel` has, reads a cluster's spans as they are."""

import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.support.platform import PROJECT, ROOT, Platform, eventually, free_ports
from tests.support.traces import Spans

COLLECTOR = ROOT / ".weir/collector/otelcol-weir"
CONFIG = ROOT / "deploy/otel/collector.yaml"
# spans are shown instead of being handed on; ports of the test's own
SHOWN = """exporters: {{ debug: {{ verbosity: detailed }} }}
extensions: {{ health_check: {{ endpoint: "127.0.0.1:{port}" }} }}
processors: {{ batch: {{ timeout: 100ms }} }}
receivers: {{ kafka: {{ group_id: "weir-collector-{group}" }} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ traces: {{ exporters: [debug] }} }}
"""
pytestmark = pytest.mark.skipif(not COLLECTOR.exists(), reason="`make collector` builds it, where Go is; CI does")


def environment(platform: Platform) -> dict[str, str]:
    return {**os.environ, "WEIR_KAFKA_BOOTSTRAP": platform.bootstrap, "WEIR_OTLP_TARGET": "127.0.0.1:4317"}


def test_collector_accepts_its_settings(platform: Platform) -> None:
    done = subprocess.run([COLLECTOR, "validate", "--config", CONFIG], env=environment(platform), capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def shown(platform: Platform, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """What a running collector shows."""
    port, = free_ports(1)
    more, log = tmp_path / "shown.yaml", tmp_path / "collector.log"
    more.write_text(SHOWN.format(port=port, group=uuid.uuid4().hex))
    with log.open("wb") as out:
        process = subprocess.Popen([COLLECTOR, "--config", CONFIG, "--config", more], env=environment(platform),
                                   stdout=out, stderr=out)
    yield log.read_text
    process.terminate()
    assert process.wait(20) == 0, log.read_text()


async def called(platform: Platform, http: ClientSession) -> tuple[str, str]:
    """Trace id and request id of a call that is sampled."""
    trace_id = uuid.uuid4().hex
    async with http.get(f"{platform.ingress}/{PROJECT}/employees/e-100", headers={
            "Authorization": f"Bearer {platform.demo_token}",
            "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}) as answer:
        assert answer.status == 200
        return trace_id, answer.headers["X-Request-Id"]


async def test_collector_shows_every_span_of_a_request_under_its_parent_and_complains_about_nothing(
        platform: Platform, http: ClientSession, shown: Callable[[], str]) -> None:
    async def reads() -> bool:
        """It reads what comes, and does not say from when on."""
        await called(platform, http)
        return "Trace ID" in shown()
    await eventually(reads, within_s=30, every_s=0.5)
    trace_id, request_id = await called(platform, http)
    spans = Spans(platform)
    await spans.of_request(request_id, "process weir.replies", "step lookup", "GET")

    def read() -> set[tuple[str, str, str]]:
        found = re.findall(r"Trace ID +: (\w+)\s+Parent ID +: (\w*)\s+ID +: (\w+)\s+Name +: (.+)", shown())
        return {(span_id, parent, name) for trace, parent, span_id, name in found if trace == trace_id}

    async def same() -> bool:
        """Each service hands its spans on when it likes, so the topic is read again as well."""
        await spans.read()
        return read() == {(one.raw.span_id.hex(), one.raw.parent_span_id.hex(), one.name)
                          for one in spans.by_trace[trace_id]}
    await eventually(same, within_s=20, every_s=0.5)
    assert f"weir.request.id: Str({request_id})" in shown()
    assert not re.findall(r"\t(?:warn|error)\t.*", shown())
