"""What the metrics say of readiness is what `/-/ready` says."""

from shared.runtime.health import METRICS, READY, Health
from shared.telemetry.metrics import Metrics


async def told(health: Health, path: str) -> tuple[int, str]:
    answer = await health.answer(path)
    assert answer is not None
    return answer.status, (answer.body or b"").decode()


async def test_metrics_say_not_ready_as_soon_as_a_probe_does_although_nobody_asks_for_readiness() -> None:
    metrics, reasons = Metrics(), [None, "the store is away", None]
    health = Health("analytics", metrics)
    asked: list[str | None] = []

    async def probe() -> str | None:
        asked.append(reasons.pop(0))
        return asked[-1]
    health.probes.append(probe)
    assert "\nweir_ready 0.0" in (await told(health, METRICS))[1]
    assert asked == []
    health.not_ready_because = None
    for ready in ("1.0", "0.0", "1.0"):
        assert f"\nweir_ready {ready}" in (await told(health, METRICS))[1]
    reasons.append("the store is away")
    assert (await told(health, READY))[0] == 503
