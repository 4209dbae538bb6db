"""Does the request fit the operation's schemas?

In:    parameters, headers, body.
Out:   the case's trigger, with values coerced as the schemas say; 400 with every error, 413, 415.
Never: a look at the body of an operation that declares none.
"""

from shared.decision.case import Case
from shared.errors import InputInvalid, MediaTypeUnsupported, Refused
from shared.names.headers import JSON
from shared.project.media import is_json


def input_fits(case: Case) -> Refused | None:
    """Refuse what does not fit; otherwise say what the workflow will see."""
    guarded, request = case.guarded, case.request
    if guarded is None:
        return None
    if guarded.inputs.reads_body and request.body and not is_json(request.content_type):
        return MediaTypeUnsupported(f"operation {case.operation!r} reads {JSON}, not {request.content_type[:80]}"
                                    if request.content_type else f"send the body with content-type {JSON}")
    http = request.http
    headers = http.headers if http is not None else {}
    checked = guarded.inputs.check(case.path_params, case.query, headers, request.body, case.read_document)
    if checked.errors:
        errors = [{"in": error.where, "pointer": error.pointer, "message": error.message}
                  for error in checked.errors]
        values = "1 value of the request does" if len(errors) == 1 else f"{len(errors)} values of the request do"
        return InputInvalid(f"{values} not fit; `errors` lists each", members={"errors": errors})
    seen = headers if guarded.form is None else guarded.form.seen(headers)
    case.trigger = {"path": checked.path, "query": checked.query, "headers": seen, "client": case.client,
                    "method": guarded.operation.method, "ip": http.client_ip if http is not None else ""}
    return None
