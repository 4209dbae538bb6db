"""One call before its judge: the facts as they came, and what the checks have found out.

In:    a request record, the topic it came on, the book, the time.
Out:   `Case`; each check fills in what later ones need.
Never: I/O.
"""

from dataclasses import dataclass, field
from typing import Any

from shared.contracts.request import RequestRecord
from shared.decision.book import GuardedOperation, GuardedProject, PolicyBook
from shared.names import topics
from shared.project.access.facts import Facts


@dataclass(slots=True, kw_only=True)
class Case:
    """Facts first; from `project` on, findings.

    `observed`: what policies that only report would have done, as `<policy>:<outcome>`.
    """

    request: RequestRecord
    topic: str
    book: PolicyBook
    now_ms: int
    project: GuardedProject | None = None
    guarded: GuardedOperation | None = None
    path_params: dict[str, str] = field(default_factory=dict)
    query: dict[str, list[str]] = field(default_factory=dict)
    client: str = ""
    roles: frozenset[str] = frozenset()
    observed: list[str] = field(default_factory=list)
    trigger: dict[str, Any] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        """The operation's name, or an empty text when there is none."""
        return self.guarded.operation.name if self.guarded is not None else ""

    def facts(self) -> Facts:
        """What rules look at, once the caller is known."""
        assert self.guarded is not None
        http = self.request.http
        return Facts(
            operation=self.operation, method=self.guarded.operation.method, now_ms=self.now_ms, client=self.client,
            source="edge" if self.topic == topics.REQUESTS_EDGE else "internal", roles=self.roles,
            ip=http.client_ip if http is not None else "", headers=http.headers if http is not None else {},
            query=self.query, path=self.path_params, body=self.request.body, authenticated=bool(self.client))
