"""What the rooms behind the door of the executor work with.

In:    objects that `wire.py` has built.
Out:   `ExecutorParts`.
Never: code.
"""

from dataclasses import dataclass

from services.executor.keeping import Keeping
from services.executor.progress import Progress
from services.executor.scene import Surroundings
from services.executor.settings import ExecutorSettings
from services.executor.shelf import Shelf
from services.executor.traces import ExecutorTraces
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.intake import Intake
from shared.runtime.tasks import Tasks
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorParts:
    """One object each, for all executions of this process."""

    settings: ExecutorSettings
    surroundings: Surroundings
    shelf: Shelf
    intake: Intake
    answers: Answers
    usage: UsageEnvelopes
    dead_letters: DeadLetters
    metrics: Metrics
    access: AccessLog
    tasks: Tasks
    keeping: Keeping
    progress: Progress
    traces: ExecutorTraces
