"""The coding of a body, taken off (RFC 9110, 8.4.1).

In:    a body as it came, what it says of its coding.
Out:   the body that was meant, whole.
Never: a part of one taken for all of it: the library tells no end of `gzip`, so it is given the bytes as they are; more
       in memory than may come in.

Pure.
"""

from multidict import MultiMapping

from shared.errors import BodyTooLarge, MediaTypeUnsupported, MessageUnreadable
from shared.runtime.connections import DECODED
from shared.runtime.inflating import inflated


def of(headers: MultiMapping[str]) -> str | None:
    """The coding of a body. Raises MediaTypeUnsupported for one that nobody here can decode, MessageUnreadable for a
    body that is more than cut into chunks."""
    transfer, coding = headers.get("Transfer-Encoding"), ", ".join(headers.getall("Content-Encoding", ())) or None
    if transfer is not None and _named(transfer) != "chunked":
        raise MessageUnreadable(f"the body has the transfer coding {transfer[:80]!r}; only `chunked` is taken off "
                                "here. What is compressed says so in Content-Encoding")
    if coding is not None and _named(coding) not in {"identity", *DECODED.split(", ")}:
        raise MediaTypeUnsupported(f"the body has the coding {coding[:80]!r}; send it as it is, or one of {DECODED}",
                                   headers={"Accept-Encoding": DECODED})
    return coding


def decoded(raw: bytes, coding: str, limit: int) -> bytes:
    """The body. Raises MessageUnreadable, BodyTooLarge."""
    name = _named(coding)
    if name == "identity":
        return raw
    try:
        found = inflated(raw, name, limit)
    except ValueError as exc:
        raise MessageUnreadable(f"the body {exc} (Content-Encoding: {name})") from None
    if found is None:
        raise BodyTooLarge(f"the body is larger than {limit} bytes once it is decoded (WEIR_INGRESS_MAX_BODY_BYTES)")
    return found


def _named(coding: str) -> str:
    return coding.strip().lower()
