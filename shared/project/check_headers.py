"""Rules over request headers that a project names: the edge keeps some to itself, and nobody else sees them.

In:    the model of `access.yaml` or an operation, its places.
Out:   problems with their places, and what to write instead.
Never: headers of answers, and those that a page may send (`cors`).
"""

from collections.abc import Iterator

from shared.names import headers as H
from shared.project.access.cel import headers_in
from shared.project.access.policies import Policy
from shared.project.access.traffic import HeaderPolicy
from shared.project.model import Access, Operation
from shared.project.places import Key, Problem, Source

Path = tuple[Key, ...]
Named = Iterator[tuple[Path, str]]
_INSTEAD = {
    H.CONTENT_TYPE: "an entry of `headers` says by `content_types` what bodies may be",
    H.IDEMPOTENCY_KEY: "an operation asks for it by `idempotency: { required: true }`",
    "content-length": "a rule asks for the bytes of a body by `size`, and `bounds` has the most of them by `body`"}
_SECRET = ("the edge takes what proves a caller out of every call; ask who it is by `client`, `role` or `claim`, "
           "and count by client or token")
_OWNED = "it belongs to the connection or to the platform"


def check_headers(access: Access, source: Source) -> Iterator[Problem]:
    """Headers that are named and never seen, or that a call has to have and may not have."""
    for path, name in _named(access):
        yield from _unseen(name, access, source, path)
    for index, form in enumerate(access.headers):
        for position, name in enumerate(form.forbid):
            if name in form.require:
                yield source.problem(("headers", index, "forbid", position), "never", "no call is ever let in: the "
                                     f"header {name} is under `require`, too")


def check_input(operation: Operation, access: Access, source: Source, path: Path) -> Iterator[Problem]:
    """Headers that its schema requires and that are never seen: every call would be refused."""
    schema = operation.input.headers
    required = schema.get("required") if isinstance(schema, dict) else None
    for index, name in enumerate(required if isinstance(required, list) else ()):
        yield from _unseen(str(name).lower(), access, source, (*path, "input", "headers", "required", index))


def _unseen(name: str, access: Access, source: Source, path: Path) -> Iterator[Problem]:
    key = access.authentication.api_key
    secret = name in H.SECRET_HEADERS or (key is not None and name == key.header)
    if secret or name in H.UNSEEN_HEADERS:
        why = _SECRET if secret else _INSTEAD.get(name, _OWNED)
        yield source.problem(path, "unseen", f"no rule, limit or workflow ever sees the header {name}: {why}")


def _named(access: Access) -> Named:
    for index, policy in enumerate(access.policies):
        for path, name in _of_policy(policy):
            yield ("policies", index, *path), name
    for index, form in enumerate(access.headers):
        for path, name in _of_form(form):
            yield ("headers", index, *path), name


def _of_policy(policy: Policy) -> Named:
    for index, rule in enumerate(policy.rules):
        if rule.header is not None:
            yield ("rules", index, "header", "name"), rule.header.name.lower()
        for name in headers_in(rule.when or ""):
            yield ("rules", index, "when"), name.lower()
    for index, limit in enumerate(policy.limits):
        for position, subject in enumerate(limit.by):
            if subject.startswith("header:"):
                yield ("limits", index, "by", position), subject.removeprefix("header:").lower()
        for name in headers_in(str(limit.cost)):
            yield ("limits", index, "cost"), name.lower()


def _of_form(form: HeaderPolicy) -> Named:
    for key in ("require", "forbid"):
        for index, name in enumerate(getattr(form, key)):
            yield (key, index), name
    for name in form.match:
        yield ("match", name), name
    for index, name in enumerate(form.request.remove):
        yield ("request", "remove", index), name
    for name in form.request.rename:
        yield ("request", "rename", name), name
