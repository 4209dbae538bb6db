"""A member that cannot commit may not be one any more."""

import asyncio
from typing import Any

import pytest

from shared.kafka.faults import KafkaUnavailable
from shared.kafka.intake import Intake, Subscription
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics


class Lost:
    """A consumer that has lost its coordinator: it fetches, and never commits."""

    def __init__(self) -> None:
        self.commits = 0

    async def commit(self, _: Any) -> None:
        """Never returns."""
        self.commits += 1
        await asyncio.Event().wait()


@pytest.mark.parametrize("commits", [True, False])
async def test_commit_that_does_not_end_takes_the_service_down(commits: bool) -> None:
    tasks, consumer = Tasks(), Lost()
    intake = Intake(KafkaSettings(session_timeout_ms=50, heartbeat_interval_ms=10), tasks, Metrics(), Subscription(
        group="g", instance="i", topics=("t",), max_open=1))
    intake._consumer = consumer  # type: ignore[assignment]  # a real one loses its coordinator once in many crashes
    tracker = type("Tracker", (), {"take_committable": lambda _: 1 if commits else None})()
    intake._trackers["t"] = tracker  # type: ignore[index]
    if commits:
        with pytest.raises(KafkaUnavailable, match="joins anew"):
            await intake._commit()
    else:
        await intake._commit()
    assert consumer.commits == int(commits)
