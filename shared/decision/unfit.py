"""Records that are not even judged: what they carry may not go further.

In:    a request, the names of its headers that hold a raw secret.
Out:   a refusal, or nothing.
Never: a rule of a project; I/O.
"""

from collections.abc import Sequence

from shared.contracts.request import RequestRecord
from shared.decision.decide import Decision
from shared.errors import BodyTooLarge, CredentialsInvalid


def unfit(request: RequestRecord, secrets: Sequence[str], max_body_bytes: int) -> Decision | None:
    """Raw secrets, and bodies that are too large."""
    if secrets:
        return Decision(CredentialsInvalid(
            f"the record carries a raw secret in {', '.join(secrets)}; send `weir-token-digest` instead, and "
            "replace that secret: it stood in a topic"), 0)
    if len(request.body) > max_body_bytes:
        return Decision(BodyTooLarge(f"the body has {len(request.body)} bytes, the limit is {max_body_bytes} "
                                     "(WEIR_POLICY_MAX_BODY_BYTES)"), 0)
    return None
