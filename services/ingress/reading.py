"""The body of a call, read whole.

In:    a request, its call's share of the memory for bodies.
Out:   the body that was meant, with its coding taken off; what is wrong with it.
Never: more of it in memory than may come in; a wait without an end.
"""

import asyncio

from aiohttp import HttpVersion11, web

from services.ingress import admission, coding
from services.ingress.bodies import Share
from services.ingress.settings import IngressSettings
from services.ingress.visit import Visit
from shared.errors import BodyTooLarge, BodyTooSlow, ClientGone
from shared.runtime.bodies import whole
from shared.runtime.connections import UNREADABLE, unreadable

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def body(request: web.BaseRequest, visit: Visit, share: Share, settings: IngressSettings) -> bytes:
    """All of it; the visit is told how many bytes it has.

    Raises BodyTooLarge, BodyTooSlow, ClientGone, MediaTypeUnsupported, MessageUnreadable, Overloaded.
    """
    limit, content = settings.max_body_bytes, request.content
    if content.is_eof():
        # most come whole with their headers
        found = content.read_nowait()
        how = coding.of(request.headers) if found else None
        share.take(len(found))
    else:
        how = coding.of(request.headers)
        admission.check_size(request.content_length or 0, limit)
        _ask_for(request)
        found = await _awaited(request, share, settings)
    visit.bytes_in = len(found)
    admission.check_size(len(found), limit)
    if how is not None and found:
        found = coding.decoded(found, how, limit)
        share.take(max(0, len(found) - visit.bytes_in))
        visit.bytes_in = len(found)
    return found


async def _awaited(request: web.BaseRequest, share: Share, settings: IngressSettings) -> bytes:
    try:
        async with asyncio.timeout(settings.body_ms / 1000):
            found = await whole(request.content, settings.max_body_bytes, share.take)
    except TimeoutError as exc:
        raise BodyTooSlow(f"the body was not there after {settings.body_ms} ms (WEIR_INGRESS_BODY_MS)") from exc
    except UNREADABLE as exc:
        raise unreadable(exc) from None
    except ConnectionError as exc:
        raise ClientGone("the caller has closed the connection before all of the body had come") from exc
    if found is None:
        raise BodyTooLarge(f"the body is larger than {settings.max_body_bytes} bytes (WEIR_INGRESS_MAX_BODY_BYTES)")
    return found


def _ask_for(request: web.BaseRequest) -> None:
    """Whoever waits for it is told to go on (RFC 9110, 10.1.1)."""
    expected = request.headers.get("Expect")
    if (expected is not None and expected.lower() == "100-continue" and request.version >= HttpVersion11
            and request.transport is not None):
        request.transport.write(_CONTINUE)
