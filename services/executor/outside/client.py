"""The one HTTP client for outside calls.

In:    method, URL, headers, body.
Out:   status, headers, body, bounded; redirects followed as far as the step allows.
Never: a cookie kept, a proxy from the environment, an owner's header sent to another host than it was meant for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from ssl import SSLContext

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
)
from yarl import URL

from services.executor.outside.reading import decoded, headers_of, text_of_header
from shared.errors import UpstreamFailed, WorkflowFailed
from shared.runtime import guarded
from shared.runtime.addresses import Addresses, AddressRefused
from shared.runtime.bodies import whole

_NO_TIMEOUT = ClientTimeout(total=None)
# some refuse what names a library, others what names nobody
_NAME = f"Weir/{version('weir')}"
# what another host than the one that was meant may see
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent", "traceparent"})
# where a body ends is told by whoever sends it: what follows would be the next request on a connection that others use
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What goes out. `execution`: whose it is; the outside system is not told."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None = None
    tls: SSLContext | None = None
    proxy: str | None = None
    execution: str = ""

    def redirected(self, status: int, location: str) -> "Request":
        """The next request (RFC 9110, 15.4). Raises ValueError for a location that is no URL, UpstreamFailed:
        redirect-refused.
        """
        url = self.url.join(URL(location))
        if url.scheme not in ("http", "https"):
            raise ValueError("a redirect leads away from HTTP")
        # yarl's origin tells https://h:443, to which load balancers redirect, from https://h
        same = (url.scheme, url.host, url.port) == (self.url.scheme, self.url.host, self.url.port)
        if same and url.user is None and self.url.user is not None:
            url = url.with_user(self.url.user).with_password(self.url.password)
        headers = {name: value for name, value in self.headers.items() if same or name.lower() in _HARMLESS}
        # a DELETE or a PUT that became a GET would be told as done
        becomes_get = self.method not in ("GET", "HEAD") if status == 303 else (
            self.method == "POST" and status in (301, 302))
        if not becomes_get:
            if self.body is not None and (self.url.scheme, url.scheme) == ("https", "http"):
                raise UpstreamFailed(
                    f"the outside system redirects ({status}) from https to http, and the body would go there for all "
                    "to read: call an address that answers by https, or say `redirects: 0`, expect this status and "
                    "read `headers.location`", members={"error": "redirect-refused", "upstream_status": status})
            return replace(self, url=url, headers=headers)
        kept = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        return replace(self, method="GET", url=url, headers=kept, body=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back; headers as `reading.headers_of` has them. `charset` as it was told, or None."""

    status: int
    headers: dict[str, str | list[str]]
    body: bytes
    media: str
    charset: str | None


class OutsideClient:
    """A pool of connections, shared by all executions of a process."""

    def __init__(self, addresses: Addresses, *, connections: int, per_host: int) -> None:
        """`per_host`: so that one system which hangs leaves connections for the others."""
        self._addresses = addresses
        self._session = ClientSession(
            connector=guarded.connector(addresses, limit=connections, per_host=per_host),
            cookie_jar=DummyCookieJar(), auto_decompress=False, headers={"User-Agent": _NAME})

    async def start(self) -> None:
        """Nothing: connections open when they are needed."""

    async def stop(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def exchange(self, request: Request, redirects: int, max_bytes: int) -> Response:
        """Raises what aiohttp raises, AddressRefused, UpstreamFailed: response-too-large, redirect-refused, or without
        a name for what is cut off or coded in a way that nobody asked for; WorkflowFailed for two users at once."""
        while True:
            self._addresses.check_literal(request.url.host or "")
            if request.proxy is not None:
                self._addresses.check_literal(URL(request.proxy).host or "")
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _FRAMING}
            if request.url.user is not None and any(name.lower() == "authorization" for name in headers):
                raise WorkflowFailed("the URL of the request names a user, and an Authorization header, of the step or "
                                     "of its credential, another one: leave one of both out")
            async with self._session.request(request.method, request.url, headers=headers, data=request.body,
                                             timeout=_NO_TIMEOUT, allow_redirects=False, proxy=request.proxy,
                                             ssl=request.tls or True) as response:
                location = response.headers.get("location")
                if redirects == 0 or location is None or response.status not in _REDIRECTS:
                    return Response(
                        status=response.status, headers=headers_of(response.headers.items()),
                        body=await _bounded(response, max_bytes), media=response.content_type,
                        charset=response.charset)
                redirects -= 1
                request = request.redirected(response.status, text_of_header(location))


async def _bounded(response: ClientResponse, limit: int) -> bytes:
    coding = ",".join(response.headers.getall("content-encoding", ()))
    # what cannot be made smaller becomes a little larger
    raw = await whole(response.content, limit + (limit // 200 + 1_000 if coding else 0))
    if raw is not None and coding:
        try:
            raw = decoded(raw, coding, limit)
        except ValueError as exc:
            raise UpstreamFailed(f"the answer of the outside system ({response.status}) {exc}", members={
                "upstream_status": response.status} if response.status >= 400 else {}) from None
    if raw is None:
        # it would be as large the next time: its kind is none of those that are tried again without a word
        raise UpstreamFailed(f"the response is larger than {limit} bytes (WEIR_EXECUTOR_MAX_RESPONSE_BYTES)",
                             members={"error": "response-too-large", "upstream_status": response.status})
    return raw


def is_private(exc: Exception) -> bool:
    """Whether `exchange` raised it for a private address."""
    return isinstance(exc, AddressRefused) or isinstance(exc.__cause__, AddressRefused)


def why(exc: Exception, whom: str) -> str:
    """What `exchange` has met, without a word of the request. Whoever reads it wants to know whether the call may have
    been done all the same."""
    what = f"{whom} could not be reached"
    if isinstance(exc, ClientHttpProxyError):
        what = f"the proxy answered {exc.status}, so {whom} was not asked"
    elif isinstance(exc, ClientResponseError):
        what = f"{whom} answered what cannot be read: no HTTP, or too many headers"
    elif isinstance(exc, ClientPayloadError):
        what = f"the answer of {whom} is cut off"
    elif isinstance(exc, ClientConnectionError) and not isinstance(exc, ClientConnectorError):
        what = f"{whom} closed the connection before it answered; it may have done what it was asked for"
    return f"{what} ({type(exc).__name__})"


def shown_url(url: URL) -> str:
    """A URL without what may be a secret in it."""
    return str(url.with_user(None).with_query(None).with_fragment(None))
