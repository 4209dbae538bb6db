"""Client certificates that a trusted proxy has verified.

In:    the certificate's subject, as the proxy tells it.
Out:   the client of that subject; 401.
Never: a subject that anybody but a trusted proxy says; the edge sees to that.
"""

from shared.decision.callers.identity import Identity, invalid
from shared.decision.case import Case
from shared.errors import Refused


def by_certificate(case: Case) -> Identity | Refused | None:
    """The client of a certificate."""
    subject = case.request.http.certificate if case.request.http is not None else ""
    if not subject or case.project is None or "certificate" not in case.kinds:
        return None
    client = case.project.authentication.certificate.get(subject)
    if client is None:
        return invalid("the certificate's subject is none of this project's clients")
    return Identity(client=client, roles=case.book.roles(case.request.project, client))
