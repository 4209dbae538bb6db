"""Which operation is called, and is it open?

In:    the project and the operation's name, or method and path.
Out:   the case's project, operation and parameters; 404, 405 or 503.
Never: who calls.
"""

import json
from typing import Any

from shared.decision.book import GuardedProject
from shared.decision.case import Case
from shared.errors import MethodNotAllowed, OperationDisabled, OperationNotFound, Refused
from shared.project.routes import Match
from shared.project.routes import MethodNotAllowed as OtherMethods

# farther on not every whole number is one of floating point
_LARGEST_WHOLE = 2**53


def operation_is_open(case: Case) -> Refused | None:
    """Find the operation; refuse what does not exist or is switched off."""
    request = case.request
    case.project = project = case.book.project(request.project)
    if project is None:
        return OperationNotFound(f"there is no project {request.project!r}")
    refusal = _by_name(case, project) if request.operation else _by_path(case, project)
    if refusal is None and case.guarded is not None and not case.guarded.operation.enabled:
        return OperationDisabled(f"operation {case.operation!r} is switched off by its owner")
    return refusal


def _by_name(case: Case, project: GuardedProject) -> Refused | None:
    request = case.request
    case.guarded = project.operations.get(request.operation or "")
    if case.guarded is None:
        return OperationNotFound(f"project {project.name!r} has no operation {request.operation!r}")
    in_path = case.guarded.operation.path_parameters
    for name, value in request.params.items():
        if value is None:
            # as in a URL it is not there
            continue
        if name in in_path:
            case.path_params[name] = _as_text(value)
        else:
            case.query[name] = [_as_text(item) for item in value] if isinstance(value, list) else [_as_text(value)]
    if request.http is not None:
        case.query = request.http.query
    return None


def _as_text(value: Any) -> str:
    """What would stand in a URL: JSON has one kind of number, and says `true`."""
    if isinstance(value, str):
        return value
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_WHOLE
    return json.dumps(int(value) if whole else value, ensure_ascii=False)


def _by_path(case: Case, project: GuardedProject) -> Refused | None:
    path, case.query = case.request.split_path()
    method = case.request.method or ""
    found = project.routes.match(method, path)
    if isinstance(found, Match):
        case.guarded = project.operations[found.operation.name]
        case.path_params = dict(found.params)
        return None
    if isinstance(found, OtherMethods):
        allow = ", ".join(found.allow)
        return MethodNotAllowed(f"{path[:200]} takes {allow}, not {method[:20]}", headers={"Allow": allow})
    return OperationNotFound(f"project {project.name!r} has no operation at {path[:200]}")
