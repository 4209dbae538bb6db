"""Was this asked before?

In:    the request's idempotency key; what is kept under it.
Out:   the claim to make; 400 for a key that is none; 409 while the first call runs, or when it asked something else.
Never: the store.

A key is that of one client, one operation, one project (draft-ietf-httpapi-idempotency-key-header-07).
"""

import hashlib

import orjson

from shared.contracts.kept_answer import KeptAnswer
from shared.decision.case import Case, Claim
from shared.errors import IdempotencyMismatch, IdempotencyRunning, InputInvalid, Refused

_MAX_KEY = 255
# a claim outlives its call's deadline by this, so that a redelivered call still finds it
_GRACE_MS = 60_000


def key_is_usable(case: Case) -> Refused | None:
    """Note the claim, or refuse a key that is none."""
    guarded, key = case.guarded, case.request.idempotency_key
    if guarded is None or (key is None and not guarded.operation.idempotency.required):
        return None
    if key is None:
        return InputInvalid(f"operation {case.operation!r} needs an idempotency key: send `Idempotency-Key`")
    if not 0 < len(key) <= _MAX_KEY or not key.isprintable():
        return InputInvalid(f"an idempotency key has 1 to {_MAX_KEY} printable characters")
    http = case.request.http
    caller = f"c:{case.client}" if case.client else f"i:{http.client_ip if http is not None else ''}"
    scope = "\0".join((case.operation, caller, key))
    asked = orjson.dumps([case.path_params, case.query], option=orjson.OPT_SORT_KEYS) + case.request.body
    case.claim = Claim(
        key=f"weir:idem:{case.request.project}:{hashlib.blake2b(scope.encode(), digest_size=16).hexdigest()}",
        digest=hashlib.blake2b(asked, digest_size=16).hexdigest(), hold_ms=case.until_ms - case.now_ms + _GRACE_MS,
        keep_ms=guarded.operation.idempotency.keep_ms)
    return None


def may_run(case: Case, holder: str, kept: KeptAnswer | None) -> Refused | None:
    """What is kept under the key. None: run, or give the kept answer again when there is one."""
    if kept is None or case.claim is None:
        return None
    if kept.digest != case.claim.digest:
        return IdempotencyMismatch("this idempotency key was used for another request; take a new one")
    if kept.is_running and kept.request_id != holder:
        return IdempotencyRunning("the first call with this idempotency key is still running",
                                  headers={"Retry-After": "1"})
    return None
