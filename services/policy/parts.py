"""What policy works with.

In:    objects that `wire.py` has built.
Out:   `PolicyParts`.
Never: work of its own.
"""

from dataclasses import dataclass

from services.policy.claims import Claims
from services.policy.counters import Counters
from services.policy.results import Results
from services.policy.settings import PolicySettings
from services.policy.traces import PolicyTraces
from shared.clock import Clock
from shared.decision.book import PolicyBook
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.intake import Intake
from shared.kafka.outbox import Outbox
from shared.runtime.key_sets import KeySets
from shared.runtime.tasks import Tasks
from shared.store.last_used import LastUsed
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyParts:
    """Built in `wire.py`, once."""

    settings: PolicySettings
    clock: Clock
    book: PolicyBook
    intake: Intake
    outbox: Outbox
    answers: Answers
    usage: UsageEnvelopes
    dead_letters: DeadLetters
    metrics: Metrics
    access: AccessLog
    traces: PolicyTraces
    tasks: Tasks
    counters: Counters
    claims: Claims
    results: Results
    key_sets: KeySets
    last_used: LastUsed
    keep_addresses: bool
