"""Who calls?

In:    the token digest of the request.
Out:   the case's client; 401.
Never: a raw token: what reaches policy is a digest that is good for one topic only.
"""

from shared.contracts.token import MALFORMED, stored_digest
from shared.decision.case import Case
from shared.errors import CredentialsExpired, CredentialsInvalid, CredentialsMissing, Refused

CHALLENGE = {"WWW-Authenticate": "Bearer"}
INVALID_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def token_is_known(case: Case) -> Refused | None:
    """Identify the client; only a public operation may be called without a token."""
    digest = case.request.token_digest
    public = case.guarded is not None and case.guarded.operation.public
    if not digest:
        if public:
            return None
        return CredentialsMissing(f"operation {case.operation!r} needs a token: send `Authorization: Bearer ...`, "
                                  "or its digest in `weir-token-digest` on the internal topic", headers=CHALLENGE)
    if digest == MALFORMED:
        return CredentialsInvalid("the token is mistyped: its checksum does not fit", headers=INVALID_CHALLENGE)
    token = case.book.token(stored_digest(digest))
    if token is None or token.project != case.request.project:
        return CredentialsInvalid("the token is not one of this project's", headers=INVALID_CHALLENGE)
    if token.revoked is not None and token.revoked <= case.now_ms:
        return CredentialsInvalid("the token has been revoked", headers=INVALID_CHALLENGE)
    if token.expires is not None and token.expires <= case.now_ms:
        return CredentialsExpired("the token has expired; ask the API's owner for a new one",
                                  headers=INVALID_CHALLENGE)
    case.token = token.id
    case.client, case.roles = token.client, case.book.roles(token.project, token.client)
    return None
