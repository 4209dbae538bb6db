"""Series are cheap, bounded, and what Prometheus takes them for."""

import asyncio
import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from shared.names import metrics as M
from shared.telemetry.metrics import Metrics
from shared.telemetry.series import MAX_SERIES, OTHER


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_counts_and_times_are_read_back_by_the_official_parser() -> None:
    metrics = Metrics()
    metrics.answers.inc('a"b\\', "get\n", "200", by=3)
    for took_us in (400, 500, 501, 40_000_000):
        metrics.hop_us.add(took_us, "policy", M.QUEUE)
    text, content_type = metrics.text()
    assert content_type.startswith("text/plain")
    found = {(one.name, tuple(sorted(one.labels.items()))): one.value
             for family in families(text.decode()) for one in family.samples}
    assert found["weir_answers_total", (("operation", "get\n"), ("project", 'a"b\\'), ("status", "200"))] == 3
    bucket = {bound: found["weir_hop_seconds_bucket", (("hop", "policy"), ("le", bound), ("part", "queue"))]
              for bound in ("0.0005", "0.001", "30.0", "+Inf")}
    assert bucket == {"0.0005": 2, "0.001": 3, "30.0": 3, "+Inf": 4}
    assert value(metrics, "weir_hop_seconds_sum", hop="policy", part="queue") == pytest.approx(40.001401)


def test_trace_of_the_last_request_in_a_bucket_is_its_exemplar() -> None:
    metrics = Metrics()
    for trace_id in ("a" * 32, "b" * 32):
        metrics.request_us.add(3_000, "p", "o", trace_id=trace_id)
    metrics.request_us.add(3_001, "p", "o")
    text, content_type = metrics.text("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    exemplars = [one.exemplar for family in open_families(text.decode()) for one in family.samples if one.exemplar]
    assert [(found.labels, found.value) for found in exemplars] == [({"trace_id": "b" * 32}, 0.003)]


def test_series_past_the_bound_are_folded_into_one_and_the_folding_is_told() -> None:
    metrics = Metrics()
    for number in range(MAX_SERIES + 50):
        metrics.answers.inc("p", f"o{number}", "200")
        metrics.request_us.add(1, "p", f"o{number}")
    metrics.answers.inc("p", "o1", "200")
    text = metrics.text()[0].decode()
    assert text.count("weir_answers_total{") == text.count("weir_request_seconds_count{") == MAX_SERIES + 1
    assert value(metrics, "weir_answers_total", project=OTHER, operation=OTHER, status="200") == 50
    assert value(metrics, "weir_answers_total", project="p", operation="o1", status="200") == 2
    assert value(metrics, "weir_series_folded_total", metric="weir_request_seconds") == 50


def test_failure_that_finds_no_room_for_a_series_of_its_own_is_counted_as_a_failure() -> None:
    metrics = Metrics()
    for number in range(MAX_SERIES):
        metrics.answers.inc(f"p{number}", "o", "200")
        metrics.requests.inc(f"p{number}", "o", "ok")
    for number in range(100):
        metrics.answers.inc(f"p{number}", "o", "503")
        metrics.requests.inc(f"p{number}", "o", "overloaded")
    assert value(metrics, "weir_answers_total", project=OTHER, operation=OTHER, status="503") == 100
    assert value(metrics, "weir_requests_total", project=OTHER, operation=OTHER, reason="overloaded") == 100


def test_wrong_number_of_labels_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="weir_answers has the labels"):
        Metrics().answers.inc("p")


def test_muted_metrics_count_nothing_and_tell_what_can_be_looked_up() -> None:
    metrics = Metrics(muted=True)
    metrics.answers.inc("p", "o", "200")
    metrics.request_us.add(1, "p", "o")
    metrics.bound("calls", lambda: 7, 10)
    text = metrics.text()[0].decode()
    assert "weir_answers_total{" not in text
    assert "weir_request_seconds_count{" not in text
    assert [value(metrics, name, bound="calls") for name in ("weir_bound_used", "weir_bound_limit")] == [7, 10]


def test_places_that_tell_the_same_series_are_summed() -> None:
    metrics = Metrics()
    metrics.read(M.IN_FLIGHT, lambda: 2)
    metrics.read(M.IN_FLIGHT, lambda: 3)
    metrics.read(M.LOG_LINES, lambda: {("warning", "task-failed"): 4})
    assert value(metrics, "weir_in_flight") == 5
    assert value(metrics, "weir_log_lines_total", level="warning", action="task-failed") == 4


async def test_loop_goes_on_while_much_is_written_out_and_what_is_looked_up_is_looked_up_in_it() -> None:
    metrics, loop_thread = Metrics(), threading.get_ident()
    asked: list[int] = []

    def reading() -> float:
        asked.append(threading.get_ident())
        return 7
    metrics.read(M.IN_FLIGHT, reading)
    for number in range(MAX_SERIES):
        metrics.request_us.add(1, "p", f"o{number}")
    writing = asyncio.ensure_future(metrics.told())
    beats = 0
    while not writing.done():
        await asyncio.sleep(0.001)
        # what comes meanwhile disturbs nothing
        metrics.request_us.add(1, "p", f"new{beats}")
        metrics.answers.inc("p", f"new{beats}", "200")
        beats += 1
    text, _ = await writing
    assert beats > 3
    assert asked == [loop_thread]
    assert b"weir_in_flight 7.0" in text
    assert metrics.registry.get_sample_value("weir_in_flight") == 7
    assert len(asked) == 2
