"""One call before its judge: the facts as they came, and what the checks have found out.

In:    a request record, the topic it came on, the book, the time.
Out:   `Case`; each check fills in what later ones need.
Never: I/O.
"""

from dataclasses import dataclass, field
from typing import Any

from services.policy.book import GuardedOperation, GuardedProject, PolicyBook
from shared.contracts.request import RequestRecord


@dataclass(slots=True, kw_only=True)
class Case:
    """Facts first; from `project` on, findings."""

    request: RequestRecord
    topic: str
    book: PolicyBook
    now_ms: int
    project: GuardedProject | None = None
    guarded: GuardedOperation | None = None
    path_params: dict[str, str] = field(default_factory=dict)
    query: dict[str, list[str]] = field(default_factory=dict)
    client: str = ""
    trigger: dict[str, Any] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        """The operation's name, or an empty text when there is none."""
        return self.guarded.operation.name if self.guarded is not None else ""
