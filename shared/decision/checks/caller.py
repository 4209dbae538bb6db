"""Who calls?

In:    what the call carries as a proof.
Out:   the case's client, roles and claims; 401.
Never: how a proof is verified; `callers/` has one file a kind.
"""

from collections.abc import Callable

from shared.contracts.sealed import SealBroken
from shared.decision.callers.certificate import by_certificate
from shared.decision.callers.identity import CHALLENGE, Identity, graver
from shared.decision.callers.jwt import by_jwt
from shared.decision.callers.signature import by_signature
from shared.decision.callers.token import by_token
from shared.decision.case import Case
from shared.errors import CredentialsMissing, Refused, Unavailable

CALLERS: tuple[Callable[[Case], Identity | Refused | None], ...] = (by_token, by_jwt, by_signature, by_certificate)
_HOW = {"token": "`Authorization: Bearer ...`", "jwt": "a JWT as `Authorization: Bearer ...`",
        "api_key": "an API key", "signature": "a message signed by Standard Webhooks",
        "certificate": "a client certificate"}


def caller_is_known(case: Case) -> Refused | None:
    """Identify the client by any kind of proof; only a public operation may be called without any."""
    refusal = _unseal(case)
    for prove in CALLERS:
        found = prove(case)
        if isinstance(found, Identity):
            case.client, case.roles, case.claims, case.token = found.client, found.roles, found.claims, found.token
            # of another proof, which nobody needs any more
            case.wanted_keys = ""
            return None
        refusal = graver(refusal, found)
    if refusal is not None:
        return refusal
    if case.guarded is not None and case.guarded.operation.public:
        return None
    key = None if case.project is None else case.project.authentication.api_key
    how = " or ".join(text if kind != "api_key" or key is None else f"{text} in {key.place}"
                      for kind, text in _HOW.items() if kind in case.kinds)
    return CredentialsMissing(f"operation {case.operation!r} needs {how or 'a token'}; on the internal topic, a "
                              "token's digest in `weir-token-digest`", headers=CHALLENGE)


def _unseal(case: Case) -> Refused | None:
    sealed = case.request.sealed
    if sealed is None:
        return None
    if case.book.vault.seal is None:
        return Unavailable("the cluster key to verify these credentials with is not set (WEIR_CLUSTER_KEY)")
    try:
        case.sealed = case.book.vault.seal.open(sealed, case.request.request_id or "")
    except SealBroken:
        # whoever calls has no part in it: the edge seals, and nobody else writes where it does
        return Unavailable("the credentials cannot be opened here: they were sealed under a cluster key that policy "
                           "does not have (WEIR_CLUSTER_KEY), or for another request", headers={"Retry-After": "2"})
    return None
