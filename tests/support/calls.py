"""Calls before their judge, for tests of decisions."""

from typing import Any

from shared.contracts import token as tokens
from shared.contracts.config import Client, ProjectVersion, Token
from shared.contracts.request import HttpFacts, RequestRecord
from shared.contracts.sealed import Seal
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.vault import Vault
from shared.names import topics
from shared.project.model import Project

# Saturday 2026-01-17 21:30:00 UTC
NOW = 1_768_685_400_000
TEXT = tokens.new_token()
DIGEST = tokens.topic_digest(TEXT, topics.REQUESTS_EDGE)
SEAL = Seal("A" * 43)
STEPS = [{"id": "answer", "reply": {"body": 1}}]
OPERATIONS = [
    {"name": "get-thing", "method": "GET", "path": "/things/{id}", "workflow": "w"},
    {"name": "make-thing", "method": "POST", "path": "/things", "workflow": "w"},
    {"name": "open", "method": "GET", "path": "/open", "workflow": "w", "public": True}]


def book(policies: list[dict[str, Any]], vault: Vault | None = None, **more: Any) -> PolicyBook:
    """A book with project `p`, whose client `c` is a reader and an editor."""
    document = {"name": "p", "workflows": {"w": {"name": "w", "steps": STEPS}}, "operations": OPERATIONS,
                "roles": ["reader", "editor"], "policies": policies,
                "clients": [{"name": "c", "roles": ["reader", "editor"]}], **more}
    # as it comes back from the config topic
    document = Project.model_validate(document).to_document()
    made = PolicyBook(vault)
    made.take([ProjectVersion(project="p", version=3, document=document, files={}, time=0),
               Client(project="p", name="made", roles=["reader"], time=0),
               Token(id="t", project="p", client="c", created=0,
                     digests={topics.REQUESTS_EDGE: tokens.stored_digest(DIGEST)})])
    return made


def case(known: PolicyBook, operation: str = "get-thing", *, now_ms: int = NOW, token: str | None = DIGEST,
         body: bytes = b"", sealed: dict[str, str] | None = None, request_id: str = "r",
         key: str | None = None, **http: Any) -> Case:
    """A call over the edge; `sealed`: credentials for policy alone; `http`: fields of HttpFacts."""
    method, path = next(((str(one["method"]), str(one["path"]).replace("{id}", "7")) for one in OPERATIONS
                         if one["name"] == operation), ("GET", "/"))
    facts = HttpFacts(**{"method": method, "path": path, "client_ip": "10.1.2.3", **http})
    request = RequestRecord(project="p", operation=operation, params={"id": "7"}, token_digest=token, http=facts,
                            body=body, request_id=request_id, idempotency_key=key,
                            sealed=SEAL.close(sealed, request_id) if sealed else None)
    return Case(request=request, topic=topics.REQUESTS_EDGE, book=known, now_ms=now_ms)
