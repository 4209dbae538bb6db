"""May this call enter now?

In:    the body's size and coding, whether the edge is stopping.
Out:   nothing, or a refusal before anything is published.
Never: a question about the caller; policy asks those.
"""

from shared.errors import BodyTooLarge, MediaTypeUnsupported, Unavailable
from shared.runtime.connections import DECODED


def check_open(*, draining: bool) -> None:
    """Raises Unavailable when this instance is stopping."""
    if draining:
        raise Unavailable("this instance is stopping; another one will answer", headers={"Retry-After": "1"})


def check_size(size: int, limit: int) -> None:
    """Raises BodyTooLarge."""
    if size > limit:
        raise BodyTooLarge(f"the body has {size} bytes, the limit is {limit} (WEIR_INGRESS_MAX_BODY_BYTES)")


def check_coding(coding: str | None) -> None:
    """Raises MediaTypeUnsupported for a body that nobody here can decode (RFC 9110, 8.4)."""
    if coding is not None and coding.strip().lower() not in {"identity", *DECODED.split(", ")}:
        raise MediaTypeUnsupported(f"the body has the coding {coding[:80]!r}; send it as it is, or one of {DECODED}",
                                   headers={"Accept-Encoding": DECODED})
