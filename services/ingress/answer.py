"""Turn a reply or an error into status, headers and body.

In:    a reply record, or one of our errors.
Out:   `Answer`; every one carries `X-Request-Id`.
Never: HTTP objects of a library.
"""

import re
from collections.abc import Mapping, Sequence

import orjson
from msgspec import Struct

from services.ingress import cors
from services.ingress.routes import Target
from shared.contracts.reply import ReplyRecord
from shared.errors import Retry, TimedOut, WeirError, problem
from shared.names import headers as H
from shared.project.access.forms import changed
from shared.project.access.traffic import Cors
from shared.project.modes import Answering, result_path

# a workflow may not set what the connection or the platform owns
_NOT_FROM_WORKFLOWS = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te",
                                 "trailer", "date", "server", "x-request-id", "content-type"})


# RFC 9110, 5.5; a tab is allowed
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Answer(Struct, frozen=True):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def fits(text: str) -> bool:
    """Whether a header may have it in its name or its value: nothing that ends a line."""
    # the first question is the cheaper one, and says no to some that are fine
    return text.isprintable() or _FORBIDDEN.search(text) is None


def of_reply(reply: ReplyRecord, request_id: str) -> Answer:
    """The answer that came back through the cluster."""
    headers = {name: value for name, value in reply.headers.items() if name.lower() not in _NOT_FROM_WORKFLOWS}
    if not fits("".join((*headers, *headers.values()))):
        headers = {name: value for name, value in headers.items() if fits(name) and fits(value)}
    headers[H.HTTP_REQUEST_ID] = request_id
    if reply.content_type is not None:
        headers["Content-Type"] = reply.content_type
    return Answer(reply.status, headers, reply.body)


def still_running(project: str, request_id: str, how: Answering, *, keyed: bool) -> TimedOut:
    """The wait is over, and the work is not. `keyed`: with an idempotency key the same call is done once."""
    link = result_path(project, request_id)
    told = TimedOut(f"no answer within {how.wait_ms} ms; the work goes on, and {link} tells how it stands",
                    headers={"Location": link, **({H.HTTP_PREFERENCE_APPLIED: how.applied} if how.applied else {})},
                    members={"execution": request_id, "result": link})
    if not keyed:
        # who calls again would have it done twice
        told.retry = Retry.NEVER
    return told


def of_error(error: WeirError, request_id: str) -> Answer:
    """The problem+json answer of an error that the edge itself has met."""
    headers = {**error.headers, H.HTTP_REQUEST_ID: request_id, "Content-Type": H.PROBLEM_JSON}
    return Answer(error.status, headers, orjson.dumps(problem(error, request_id)))


def shaped(made: Answer, target: Target | None, asked: Mapping[str, str]) -> Answer:
    """As the owner wants every answer of the operation, whoever made it. `asked`: the headers of the request.

    What a page may read is said last: no change takes it away.
    """
    if target is None or not (target.changes or target.cors):
        return made
    headers = cors.added(changed(made.headers, target.changes), target.cors, asked.get(cors.ORIGIN))
    return Answer(made.status, dict(headers), made.body)


def opened(made: Answer, rules: Sequence[Cors], asked: Mapping[str, str]) -> Answer:
    """With what pages of other origins have to know to read it."""
    return Answer(made.status, dict(cors.added(made.headers, rules, asked.get(cors.ORIGIN))), made.body
                  ) if rules else made
