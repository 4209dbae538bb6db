"""May this call enter now?

In:    the body's size, whether the edge is stopping.
Out:   nothing, or a refusal before anything is published.
Never: a question about the caller; policy asks those.
"""

from shared.errors import BodyTooLarge, Unavailable


def check_open(*, draining: bool) -> None:
    """Raises Unavailable when this instance is stopping."""
    if draining:
        raise Unavailable("this instance is stopping; another one will answer", headers={"Retry-After": "1"})


def check_size(size: int, limit: int) -> None:
    """Raises BodyTooLarge."""
    if size > limit:
        raise BodyTooLarge(f"the body has {size} bytes, the limit is {limit} (WEIR_INGRESS_MAX_BODY_BYTES)")
