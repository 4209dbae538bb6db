"""Rates and quantiles from metrics that were read twice."""

import pytest

from services.console.cli.figures import Labels, Reading, Span, hop_rows, operation_rows, process_row, quantile
from shared.names.metrics import IN_FLIGHT
from shared.settings.service import ServiceSettings
from shared.telemetry.metrics import Metrics


def reading(metrics: Metrics, at_s: float) -> Reading:
    return Reading.of(metrics.text()[0].decode(), at_s)


def looked_at_twice() -> tuple[Reading, Reading]:
    metrics = Metrics.of("ingress", ServiceSettings(instance="ingress-0"))
    metrics.answers.inc("shop", "order", "200", by=100)
    metrics.request_us.add(1_000_000, "shop", "order")
    before = reading(metrics, 10.0)
    metrics.answers.inc("shop", "order", "200", by=6)
    metrics.answers.inc("shop", "order", "502", by=2)
    for _ in range(8):
        metrics.request_us.add(40_000, "shop", "order")
        metrics.hop_us.add(2_000, "ingress", "work")
        metrics.hop_us.add(200_000, "policy", "queue")
        metrics.hop_us.add(300, "policy", "work")
    metrics.read(IN_FLIGHT, lambda: 5)
    return before, reading(metrics, 12.0)


def test_only_what_happened_between_the_two_looks_counts() -> None:
    row = operation_rows(Span([looked_at_twice()]))[0]
    assert (row["project"], row["operation"], row["per_s"], row["4xx_per_s"], row["5xx_per_s"]) == (
        "shop", "order", 4.0, 0.0, 1.0)
    assert 25 < row["p99_ms"] <= 50


def test_series_of_many_operations_are_gone_through_a_few_times_and_not_for_each_of_them(
        monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, looks, grown = Metrics(), list[str](), Span.grown
    before = reading(metrics, 10.0)
    for number in range(50):
        metrics.answers.inc(f"p{number}", "o", "503", by=number)
        for _ in range(number):
            metrics.request_us.add(1_000 * number, f"p{number}", "o")

    def counted(span: Span, name: str) -> dict[Labels, float]:
        looks.append(name)
        return grown(span, name)
    monkeypatch.setattr(Span, "grown", counted)
    rows = operation_rows(Span([(before, reading(metrics, 11.0))]))
    assert [(row["project"], row["per_s"], row["5xx_per_s"]) for row in rows] == [
        (f"p{number}", number, number) for number in range(49, 0, -1)]
    assert rows[0]["p99_ms"] > 25 > 2.5 > rows[-1]["p99_ms"]
    assert len(looks) == 3


def test_hop_says_how_long_requests_waited_before_it_and_were_worked_on_in_it() -> None:
    policy = next(row for row in hop_rows({"ingress": Span([looked_at_twice()])}) if row["hop"] == "policy")
    assert policy["per_s"] == 4.0
    assert 100 < policy["queue_p99_ms"] <= 250
    assert policy["work_p99_ms"] <= 0.5


def test_process_says_its_version_and_what_waits() -> None:
    row = process_row(*looked_at_twice())
    assert (row["version"], row["per_s"], row["in_flight"], row["lag"]) == ("0.1.0", 4.0, 5, 0)


def test_process_that_was_started_anew_has_counted_from_zero() -> None:
    before, after = looked_at_twice()
    assert Span([(after, before)]).grown("weir_answers_total")[
        ("operation", "order"), ("project", "shop"), ("status", "200")] == 100


@pytest.mark.parametrize(("share", "found"), [(0.5, 1.0), (0.75, 1.5), (1.0, 2.0)])
def test_quantile_lies_within_its_bucket(share: float, found: float) -> None:
    assert quantile({1.0: 2, 2.0: 4, float("inf"): 4}, share) == found


def test_quantile_past_the_last_bound_is_that_bound_and_of_nothing_is_none() -> None:
    assert quantile({1.0: 0, float("inf"): 3}, 0.5) == 1.0
    assert quantile({1.0: 0, float("inf"): 0}, 0.5) is None
