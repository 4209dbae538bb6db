"""Does the call have the form that the owner asks for?

In:    headers, content type, query, body; the operation's header policies and bounds.
Out:   400 with everything that is wrong, 413, 415.
Never: a look at what the values mean.
"""

from shared.decision.case import Case
from shared.errors import BodyTooLarge, InputInvalid, MediaTypeUnsupported, Refused


def form_fits(case: Case) -> Refused | None:
    """Refuse what does not have the form."""
    form = case.guarded.form if case.guarded is not None else None
    if form is None:
        return None
    request = case.request
    headers = request.http.headers if request.http is not None else {}
    misfits = form.misfits(headers, request.content_type, case.query, request.body)
    if not misfits:
        return None
    for misfit in misfits:
        if misfit.too_large and misfit.where == "body":
            return BodyTooLarge(misfit.message)
        if misfit.where == "type":
            return MediaTypeUnsupported(misfit.message)
    return InputInvalid("; ".join(misfit.message for misfit in misfits)[:1000], members={
        "errors": [{"in": misfit.where, "pointer": "", "message": misfit.message} for misfit in misfits]})
