"""One call before its judge: the facts as they came, and what the checks have found out.

In:    a request record, the topic it came on, the book, the time.
Out:   `Case`; each check fills in what later ones need.
Never: I/O.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.request import HttpFacts, RequestRecord
from shared.decision.allowances import Grant
from shared.decision.amounts import UNKNOWN, Ask, Doubted, Outcome
from shared.decision.book import GuardedOperation, GuardedProject, PolicyBook
from shared.names import topics
from shared.project.access.budgets import Demand, Kind
from shared.project.access.facts import MISSING, Facts
from shared.project.access.rules import CompiledPolicy
from shared.project.modes import Answering, answering

_NO_HTTP = HttpFacts()


class Claim(Struct, frozen=True):
    """An idempotency key: where it is kept, what was asked, how long it is held and its answer kept."""

    key: str
    digest: str
    hold_ms: int
    keep_ms: int


class Case(Struct, kw_only=True):
    """What came first; from `project` on, findings.

    `observed`: what policies that only report would have done, as `<policy>:<outcome>`. `outcomes`: what the amounts
    say to the `demands`, one each, once they were asked. `grants`: what the call spends from; their demands are the
    last ones. `once`: what may be demanded by one request only.
    `claim`: its idempotency key; `claimed`: what stands there once it is this call's, and was not when its record came
    before.
    `accepted`: policies that accept it; `counted`: those whose limits count it, beside them those that are undecided.
    `past`: it came long ago, and is decided once more as it was then.
    `lap`: who wants to know how long each check takes; nobody, as a rule.
    `wanted_keys`: where the keys are published that are missing to verify a token.
    """

    request: RequestRecord
    topic: str
    book: PolicyBook
    now_ms: int
    past: bool = False
    project: GuardedProject | None = None
    guarded: GuardedOperation | None = None
    path_params: dict[str, str] = {}
    query: dict[str, list[str]] = {}
    client: str = ""
    token: str = ""
    claims: Mapping[str, Any] = {}
    sealed: Mapping[str, str] = {}
    once: Demand | None = None
    claim: Claim | None = None
    claimed: KeptAnswer | None = None
    wanted_keys: str = ""
    roles: frozenset[str] = frozenset()
    throttles: Sequence[Demand] = ()
    accepted: Sequence[CompiledPolicy] = ()
    counted: Sequence[CompiledPolicy] = ()
    observed: list[str] = []
    demands: Sequence[Demand] = ()
    outcomes: Sequence[Outcome] = ()
    grants: Sequence[Grant] = ()
    answer_headers: dict[str, str] = {}
    trigger: dict[str, Any] = {}
    lap: Callable[[str], None] | None = None
    _facts: Facts | None = None
    _answering: Answering | None = None

    def __repr__(self) -> str:
        """Nothing that the call carries: it may be a secret."""
        return f"<call of {self.request.project}/{self.operation}>"

    @property
    def operation(self) -> str:
        """The operation's name, or an empty text when there is none."""
        return self.guarded.operation.name if self.guarded is not None else ""

    @property
    def version(self) -> int:
        """The project version that decides; 0 without a project."""
        return self.project.version if self.project is not None else 0

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of proof that the operation takes."""
        return self.guarded.kinds if self.guarded is not None else frozenset()

    @property
    def facts(self) -> Facts:
        """What rules look at, once the caller is known."""
        if self._facts is None:
            assert self.guarded is not None
            operation, http = self.guarded.operation, self.request.http or _NO_HTTP
            self._facts = Facts(
                operation=operation.name, method=operation.method, now_ms=self.now_ms,
                client=self.client, token=self.token, roles=self.roles, authenticated=bool(self.client),
                source="edge" if self.topic == topics.REQUESTS_EDGE else "internal",
                ip=http.client_ip, headers=http.headers,
                query=self.query, path=self.path_params, claims=self.claims, body=self.request.body)
        return self._facts

    @property
    def read_document(self) -> Any:
        """The body as JSON, where a rule has asked for it; else MISSING."""
        return MISSING if self._facts is None else self._facts.read_document

    @property
    def answering(self) -> Answering:
        """Whether the caller waits, and for how long."""
        if self._answering is None:
            guarded, edge, prefer = self.guarded, self.topic == topics.REQUESTS_EDGE, self.request.prefer
            assert guarded is not None
            self._answering = (answering(guarded.operation, prefer, edge=edge) if prefer
                               else guarded.edge if edge else guarded.inside)
        return self._answering

    @property
    def until_ms(self) -> int:
        """When the call ends at the latest. A service says how long it waits: one that is told 202 waits no more,
        and its work has the time that the operation says."""
        latest_ms = self.now_ms + self.answering.run_ms
        if self.answering.at_once and self.topic != topics.REQUESTS_EDGE:
            return latest_ms
        return min(self.request.deadline_ms or latest_ms, latest_ms)

    @property
    def holds(self) -> tuple[str, ...]:
        """Keys of what the call has taken that is given back when it ends, or at once where it is refused. What the
        store was asked for and did not answer it may have given."""
        concurrent = Kind.CONCURRENT
        # of most calls there is none
        if not [demand for demand in self.demands if demand.kind is concurrent]:
            return ()
        told = list(zip(self.demands, self.outcomes, strict=False))
        fits = not any(outcome.wait_ms and demand.enforced for demand, outcome in told)
        return tuple([demand.key for demand, outcome in told if demand.kind is concurrent and (
            (fits and not outcome.wait_ms) or isinstance(outcome, Doubted))])

    @property
    def once_held(self) -> str:
        """Key of what this request alone may have now; empty where there is none, or another request has it.

        Where nobody knows whether it was taken it may have been: the store has gone before it could say so.
        """
        if self.once is None or not self.outcomes:
            return ""
        said = self.outcomes[0]
        return "" if said.wait_ms and said is not UNKNOWN else self.once.key

    @property
    def once_taken(self) -> str:
        """As `once_held`, but empty, too, where this request had it already: what it runs since then may need it."""
        if not self.outcomes:
            return ""
        said = self.outcomes[0]
        return self.once_held if said.left or said is UNKNOWN else ""

    def ask(self, request_id: str) -> Ask:
        """What the amounts are asked for."""
        return Ask(request_id, self.until_ms, self.demands)
