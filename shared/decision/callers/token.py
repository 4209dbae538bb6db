"""Tokens that Weir has made: bearer tokens and API keys.

In:    the digests of the tokens that came with the request.
Out:   the client; 401.
Never: a raw token: what reaches policy is a digest that is good for one topic only.
"""

from shared.contracts.token import each, is_malformed, looks_right
from shared.decision.callers.identity import Identity, expired, invalid
from shared.decision.case import Case
from shared.errors import Refused


def by_token(case: Case) -> Identity | Refused | None:
    """The client of the first token that is good."""
    refusal: Refused | None = None
    for digest in each(case.request.token_digest):
        found = _by(case, digest)
        if isinstance(found, Identity):
            return found
        refusal = refusal or found
    return refusal


def _by(case: Case, digest: str) -> Identity | Refused:
    if looks_right(digest):
        return invalid("this is a token itself, where its digest has to stand (`weir token create` prints both): send "
                       "that of a new one, and revoke this one, for it stood in a topic")
    owner = case.book.owner(digest)
    if owner is None or owner[0].project != case.request.project:
        return invalid("the token is mistyped: its checksum does not fit" if is_malformed(digest)
                       else "the token is not one of this project's")
    token, identity = owner
    if token.revoked is not None and token.revoked <= case.now_ms:
        return invalid("the token has been revoked")
    if token.expires is not None and token.expires <= case.now_ms:
        return expired("the token has expired; ask the API's owner for a new one")
    if identity is None:
        return invalid("the token's client is none of this project's any more")
    return identity
