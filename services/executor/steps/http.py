"""The `http` step: a call to an outside system.

In:    method, URL, query, headers, a body of one of several kinds, with expressions.
Out:   {status, headers, body}; the body is parsed when it is JSON.
Never: a call after the deadline; a status that was not expected taken for success.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientConnectorError, ClientError, InvalidURL, MultipartWriter
from aiohttp.hdrs import CONTENT_TYPE
from yarl import URL

from services.executor.outside.client import Request, Response, is_private, shown_url, why
from services.executor.outside.reading import json_of, text_of
from services.executor.retries import asked_to_wait
from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler, propagated
from shared.errors import TimedOut, UpstreamFailed, WeirError, WorkflowFailed
from shared.names import actions, spans
from shared.names.headers import JSON
from shared.project.expressions import as_text, compile_value
from shared.project.media import is_json
from shared.project.steps.values import BadValue, bytes_of, url_of
from shared.project.steps.work import HttpSettings, is_expected
from shared.project.written import to_json
from shared.telemetry.span import Attributes, Kind
from shared.telemetry.tracing import context_of

log = logging.getLogger(__name__)
_FORM = "application/x-www-form-urlencoded"
# of one `multipart`: each takes its time, and hardly anybody reads more than a thousand
_MOST_PARTS = 10_000
# one of them makes a file of an object; any other object is a value, as in a form
_FILE = frozenset({"filename", "text", "base64"})


class HttpStep:
    """One call; the trace context goes along, and a key of its effect."""

    effect = True

    def __init__(self, settings: HttpSettings, _: Compiler) -> None:
        """Compiles the expressions once."""
        self._settings = settings
        self._request = compile_value({"url": settings.url, "query": settings.query, "headers": settings.headers,
                                       "body": settings.body, "form": settings.form, "binary": settings.binary,
                                       "multipart": settings.multipart})
        self._tls = None if settings.tls is None else settings.tls.context()

    async def run(self, scene: Scene) -> dict[str, Any]:
        """Call. Raises UpstreamFailed, TimedOut, WorkflowFailed (an expression or the URL is wrong)."""
        wanted = await rendered(self._request, scene)
        url = _url(wanted["url"], wanted["query"])
        timeout_s = min(self._settings.timeout_ms, scene.left_ms()) / 1000
        attributes: Attributes | None = {
            spans.HTTP_METHOD: self._settings.method, spans.URL_FULL: shown_url(url),
            spans.SERVER_ADDRESS: url.host or "", spans.SERVER_PORT: url.port or 0} if scene.trace.sampled else None
        with scene.surroundings.tracing.span(self._settings.method, scene.trace, Kind.CLIENT, attributes) as span:
            content_type, payload = (_payload(wanted) if wanted["multipart"] is None
                                     else await _multipart(wanted["multipart"]))
            headers = _headers(wanted["headers"])
            headers |= propagated(scene, context_of(span, scene.trace))
            if content_type:
                headers.setdefault("content-type", content_type)
            if scene.effect_key is not None:
                headers.setdefault("idempotency-key", scene.effect_key)
            request = Request(method=self._settings.method, url=url, headers=headers, body=payload, tls=self._tls,
                              proxy=self._settings.proxy, execution=scene.execution.request_id)
            try:
                async with asyncio.timeout(timeout_s):
                    response = await self._exchange(scene, request)
            except TimeoutError:
                raise TimedOut(f"the outside system did not answer within {int(timeout_s * 1000)} ms") from None
            if span is not None:
                span.note({spans.HTTP_STATUS: response.status})
                if response.status >= 400:
                    span.fail(f"the outside system answered {response.status}", str(response.status))
            self._check(response, scene.surroundings.clock.now_ms())
            return {"status": response.status, "headers": response.headers, "body": self._parsed(response)}

    async def _exchange(self, scene: Scene, request: Request) -> Response:
        surroundings, redirects, name = scene.surroundings, self._settings.redirects, self._settings.credential
        max_bytes = surroundings.max_response_bytes
        try:
            if name is not None:
                return await surroundings.credentials.send(scene.execution.project, name, request, redirects, max_bytes)
            return await surroundings.http.exchange(request, redirects, max_bytes)
        except (ClientError, OSError, ValueError) as exc:
            if isinstance(exc, TimeoutError) and not isinstance(exc, ClientError):
                raise
            raise _told(scene, request, exc) from None

    def _check(self, response: Response, now_ms: int) -> None:
        status = response.status
        if is_expected(status, self._settings.expect):
            return
        raise UpstreamFailed(f"the outside system answered {status}", members={
            "upstream_status": status, **asked_to_wait(response.headers, now_ms)})

    def _parsed(self, response: Response) -> Any:
        how, raw = self._settings.parse, response.body
        if how == "none":
            return None
        if how == "base64":
            return base64.b64encode(raw).decode()
        if how == "json" or (how == "auto" and is_json(response.media)):
            try:
                return json_of(raw, response.charset)
            except ValueError as exc:
                raise UpstreamFailed(f"the response ({response.media}) is not JSON: {exc}") from exc
        return text_of(raw, response.charset)


def _told(scene: Scene, request: Request, exc: Exception) -> WeirError:
    """An error as the owner may read it: an address, a query or a header in the client's text may be a secret."""
    extra = {"action": actions.UPSTREAM_FAILED, "request_id": scene.execution.request_id}
    shown = f"{request.method} {shown_url(request.url)}"
    if is_private(exc):
        log.warning("%s: the address is private", shown, extra=extra)
        return WorkflowFailed("an outside call leads to a private address; those that may be called are listed in "
                              "WEIR_EXECUTOR_ALLOW_NETWORKS", kind="address-refused")
    log.warning("%s: %s", shown, exc if isinstance(exc, ClientConnectorError) else type(exc).__name__, extra=extra)
    if isinstance(exc, InvalidURL) or not isinstance(exc, ClientError | OSError):
        # a header with a line break, a redirect to nowhere
        return WorkflowFailed(f"the request of an http step cannot be sent: its URL, the URL of a redirect or a "
                              f"header is malformed ({type(exc).__name__})")
    return UpstreamFailed(why(exc, "the outside system"))


def _headers(wanted: dict[str, Any]) -> dict[str, str]:
    """By their names in lower case; null is none."""
    return {name.lower(): as_text(value) for name, value in wanted.items() if value is not None}


def _payload(wanted: dict[str, Any]) -> tuple[str, bytes | None]:
    """Content type and body. Raises WorkflowFailed."""
    if wanted["form"] is not None:
        return _FORM, urlencode(list(_pairs(wanted["form"]))).encode()
    if wanted["binary"] is not None:
        return "application/octet-stream", _bytes(wanted["binary"], "binary")
    body = wanted["body"]
    if body is None:
        return "", None
    # without a word many take a text for Latin-1, or for ASCII (RFC 2046, 4.1.2)
    return ("text/plain; charset=utf-8", body.encode()) if isinstance(body, str) else (JSON, to_json(body))


async def _multipart(parts: dict[str, Any]) -> tuple[str, bytes]:
    """RFC 7578, names in UTF-8 as they are. The boundary is that of the same parts each time: a call that is made again
    has the same body."""
    writer = MultipartWriter("form-data", boundary=hashlib.sha256(to_json(parts)).hexdigest()[:40])
    count = sum(len(value) if isinstance(value, list) else 1 for value in parts.values())
    if count > _MOST_PARTS:
        raise WorkflowFailed(f"`multipart` has {count} parts, and may have {_MOST_PARTS}")
    try:
        for name, value in parts.items():
            for one in value if isinstance(value, list) else [value]:
                _part(writer, name, one)
        return writer.content_type, await writer.as_bytes()
    except ValueError as exc:
        raise WorkflowFailed(f"a part of `multipart` cannot be sent: {exc}") from exc


def _part(writer: MultipartWriter, name: str, one: Any) -> None:
    if isinstance(one, dict) and not _FILE.isdisjoint(one):
        data = _bytes(one["base64"], f"multipart.{name}.base64") if "base64" in one else (
            as_text(one.get("text")).encode())
        kind = as_text(one.get("type")) or "application/octet-stream"
        writer.append(data, {CONTENT_TYPE: kind}).set_content_disposition(
            "form-data", quote_fields=False, name=name, filename=as_text(one.get("filename")) or name)
    elif one is not None:
        writer.append(as_text(one)).set_content_disposition("form-data", quote_fields=False, name=name)


def _bytes(text: Any, where: str) -> bytes:
    try:
        return bytes_of(as_text(text), where)
    except BadValue as exc:
        raise WorkflowFailed(str(exc)) from exc


def _pairs(values: Any) -> Iterator[tuple[str, str]]:
    """Names and values of a query or a form: a list gives its name several times, null none."""
    for name, value in dict(values or {}).items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield name, as_text(one)


def _url(text: Any, query: Any) -> URL:
    try:
        url = url_of(as_text(text))
        return url.extend_query(list(_pairs(query))) if query else url
    except BadValue as exc:
        raise WorkflowFailed(str(exc)) from exc
    except (ValueError, TypeError) as exc:
        raise WorkflowFailed("the query of an http step cannot be written into its URL") from exc
