"""Why a call passes or not, who may call what, and what a draft would change.

In:    a call as it would come; a project's draft.
Out:   findings of the checks that decide; cells; differences.
Never: an amount taken, a project changed.
"""

from dataclasses import asdict
from typing import Annotated, Any, Self

import orjson
from msgspec import structs
from pydantic import Field, field_validator, model_validator

from services.control.api import Body, Call, NotTrue, Result, Route
from services.control.changes import loaded
from services.control.faults import NotFound
from services.control.resources.executions import in_its_way
from shared.contracts.request import HttpFacts, RequestRecord, joined
from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.callers.identity import Identity
from shared.decision.callers.jwt import as_claimed
from shared.decision.case import Case
from shared.decision.explain import after_amounts, before_amounts, before_work
from shared.decision.matrix import matrix
from shared.errors import Refused, WeirError
from shared.names import headers as H
from shared.names import topics
from shared.names.reasons import Reason
from shared.project.access.facts import packed, spelled
from shared.project.base import Name
from shared.store.amounts import spend
from shared.store.redis import StoreUnavailable

# of what is a time in milliseconds, and not in a finer unit by mistake
_LAST_MS = 4_000_000_000_000


class Question(Body):
    """A call as it would come. `body` is text, or any JSON; `time`: unix ms, now without it.

    `client`: who calls; without it nobody, or whomever `claims`, those of a JWT, name. `roles`: in the place of those
    that the caller has.
    """

    operation: Name
    client: str | None = Field(default=None, max_length=200)
    ip: str = Field(default="", max_length=100)
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, list[str]] = Field(default_factory=dict)
    params: dict[str, str] = Field(default_factory=dict)
    roles: list[str] | None = None
    claims: dict[str, Any] = Field(default_factory=dict)
    body: Any = None
    time: Annotated[int, Field(ge=0, le=_LAST_MS), NotTrue] | None = None

    @field_validator("ip")
    @classmethod
    def _is_an_address(cls, ip: str) -> str:
        if ip and packed(ip) is None:
            raise ValueError(f"{ip!r} is no address; write 192.0.2.1 or 2001:db8::1")
        return spelled(ip)

    @field_validator("body")
    @classmethod
    def _can_be_sent(cls, body: Any) -> Any:
        try:
            _raw(body)
        except (TypeError, ValueError, RecursionError) as exc:
            raise ValueError(f"cannot be written as a body: {exc}; as a text it may be anything in UTF-8") from None
        return body

    @model_validator(mode="after")
    def _says_whose_roles(self) -> Self:
        if self.roles is not None and self.client is None and not self.claims:
            raise ValueError("say who has these roles: a `client`, or `claims` that name one")
        return self


class Draft(Body):
    """A draft of the project's files, and since when traffic is run through it (unix ms)."""

    files: dict[str, str]
    since: Annotated[int, Field(ge=0, le=_LAST_MS), NotTrue]


async def explain(call: Call) -> Result:
    """Each check in order, with what it saw."""
    desk, guarded, question = call.desk, _guarded(call), call.body
    project = guarded.name
    case = _case(call, guarded, question)
    assumed, notes = _assumed(desk.book, guarded, question)
    findings, refusal = before_amounts(case, assumed)
    if refusal is None:
        if case.demands:
            try:
                case.outcomes = (await spend(desk.store, [case.ask("")], case.now_ms, take=False))[0]
            except StoreUnavailable as exc:
                notes.append(f"what is left of the limits is not known: {exc}")
        rest, refusal = after_amounts(case)
        findings += rest
    if refusal is None:
        rest, refusal = before_work(case)
        findings += rest
    if refusal is None:
        notes += _stopped(call, guarded, question.operation)
    return Result({"project": project, "version": guarded.version, "operation": case.operation,
                   "decision": _decision(refusal), "checks": [asdict(finding) for finding in findings],
                   "observed": case.observed, "notes": notes})


def _guarded(call: Call) -> GuardedProject:
    name = call.path["project"]
    guarded = call.desk.book.project(name)
    if guarded is None:
        raise NotFound(f"there is no project {name!r}; `weir projects` lists them")
    return guarded


def _assumed(book: PolicyBook, guarded: GuardedProject,
             question: Question) -> tuple[Identity | Refused | None, list[str]]:
    """Who calls, and what is to be said about that. Raises NotFound."""
    client, declared = question.client, book.clients(guarded.name)
    if client is None and not question.claims:
        return None, []
    found: Identity | Refused
    notes = []
    if client in declared and not question.claims:
        found = Identity(client=client, roles=declared[client])
    elif client is not None and client not in declared and not guarded.authentication.jwt:
        raise NotFound(f"project {guarded.name!r} has no client {client!r}; "
                       f"it has {', '.join(sorted(declared)) or 'none'}")
    elif (operation := guarded.operations.get(question.operation)) is not None and "jwt" not in operation.kinds:
        return None, ["this operation takes no JWT: it does not know whom one names"]
    else:
        found = as_claimed(book, guarded, question.claims, client)
        notes = ["the caller is taken to have shown a JWT"]
    if isinstance(found, Identity) and question.roles is not None:
        found = structs.replace(found, roles=frozenset(question.roles))
    return found, notes


def _stopped(call: Call, guarded: GuardedProject, operation: str) -> list[str]:
    """What executors will say to a call that is let in: no check asks for it."""
    halt = in_its_way(call.desk.registry.catalogue, guarded.name, guarded.version, operation)
    if halt is None:
        return []
    own = halt.workflow == guarded.operations[operation].operation.workflow
    return [f"workflow {halt.workflow!r} is stopped{f' ({halt.reason})' if halt.reason else ''}: a call that is let in "
            f"gets 503 {Reason.WORKFLOW_STOPPED}{'' if own else ' where it calls that one and waits for it'}, until "
            f"`weir workflow start {halt.project} {halt.workflow}`"]


def _case(call: Call, guarded: GuardedProject, question: Question) -> Case:
    """As the edge would publish it: what that keeps to itself no check sees."""
    operation, key = guarded.operations.get(question.operation), guarded.authentication.api_key
    headers = joined(question.headers.items())
    unseen = H.UNSEEN_HEADERS if key is None else {*H.UNSEEN_HEADERS, key.header}
    facts = HttpFacts(method=operation.operation.method if operation else "GET", path="/",
                      query={name: values for name, values in question.query.items()
                             if key is None or name != key.query},
                      headers={name: value for name, value in headers.items() if name not in unseen},
                      client_ip=question.ip)
    request = RequestRecord(project=guarded.name, operation=question.operation, params=dict(question.params),
                            http=facts, body=_raw(question.body), content_type=headers.get(H.CONTENT_TYPE),
                            idempotency_key=headers.get(H.IDEMPOTENCY_KEY), prefer=headers.get(H.PREFER))
    now_ms = call.desk.clock.now_ms() if question.time is None else question.time
    return Case(request=request, topic=topics.REQUESTS_EDGE, book=call.desk.book, now_ms=now_ms)


def _raw(body: Any) -> bytes:
    """Raises TypeError, ValueError, RecursionError for what is no text in UTF-8 and cannot be written as JSON."""
    return b"" if body is None else body.encode() if isinstance(body, str) else orjson.dumps(body)


def _decision(refusal: WeirError | None) -> dict[str, object]:
    if refusal is None:
        return {"status": 200, "code": "ok", "detail": "the call is let in", "headers": {}}
    return {"status": refusal.status, "code": str(refusal.reason), "detail": str(refusal),
            "headers": dict(refusal.headers), **refusal.members}


async def show_matrix(call: Call) -> Result:
    """Who may call what, and with which limits."""
    guarded = _guarded(call)
    # as they are: dicts of 200,000 cells take longer to make than the cells, and control does nothing else meanwhile
    return Result(matrix(guarded, call.desk.book.clients(guarded.name)))


async def replay(call: Call) -> Result:
    """What a draft would change about past requests."""
    draft = GuardedProject.compile(loaded(_guarded(call).name, call.body.files), 0)
    return Result(await call.desk.replay.run(draft, call.body.since, call.gone))


ROUTES = (
    Route(method="POST", path="/projects/{project}/access/explain", summary="Why a call would pass or not",
          handler=explain, body=Question),
    Route(method="GET", path="/projects/{project}/access/matrix", summary="Who may call what", handler=show_matrix),
    Route(method="POST", path="/projects/{project}/replay", summary="What a draft would change about past requests",
          handler=replay, body=Draft),
)
