"""The `http` step: a call to an outside system.

In:    method, URL, query, headers, body, with expressions.
Out:   {status, headers, body}; the body is parsed when it is JSON.
Never: a call after the deadline; a response of unbounded size; a status that was not expected taken for success.
"""

import asyncio
import logging
from typing import Any

import orjson
from aiohttp import ClientError, ClientResponse, ClientTimeout
from opentelemetry.trace import SpanKind
from yarl import URL

from services.executor.scene import Scene
from services.executor.steps.base import Compiler
from shared.errors import TimedOut, UpstreamFailed, WorkflowFailed
from shared.names import actions, spans
from shared.names.headers import JSON
from shared.project.expressions import compile_value
from shared.project.steps.work import HttpSettings
from shared.telemetry.tracing import context_of

log = logging.getLogger(__name__)


class HttpStep:
    """One call; the trace context goes along, and a key of its effect."""

    effect = True

    def __init__(self, settings: HttpSettings, _: Compiler) -> None:
        """Compiles the expressions once."""
        self._settings = settings
        self._request = compile_value({"url": settings.url, "query": settings.query, "headers": settings.headers,
                                       "body": settings.body})

    async def run(self, scene: Scene) -> dict[str, Any]:
        """Call. Raises UpstreamFailed, TimedOut, WorkflowFailed (an expression or the URL is wrong)."""
        wanted = self._request.render(scene.scope)
        url = _url(wanted["url"], wanted["query"])
        timeout_s = min(self._settings.timeout_ms, scene.left_ms()) / 1000
        attributes: dict[str, str | int] = {
            spans.HTTP_METHOD: self._settings.method, spans.URL_FULL: str(url.with_query(None)),
            spans.SERVER_ADDRESS: url.host or "", spans.SERVER_PORT: url.port or 0}
        with scene.surroundings.tracing.span(self._settings.method, scene.trace, SpanKind.CLIENT, attributes) as span:
            headers = {name: str(value) for name, value in (wanted["headers"] or {}).items()}
            headers["traceparent"] = str(context_of(span, scene.trace))
            if scene.effect_key is not None:
                headers.setdefault("idempotency-key", scene.effect_key)
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await self._call(scene, url, headers, wanted["body"])
            except TimeoutError:
                raise TimedOut(f"the outside system did not answer within {int(timeout_s * 1000)} ms") from None
            except (ClientError, OSError) as exc:
                log.warning("%s %s: %s", self._settings.method, url.with_query(None), exc, extra={
                    "action": actions.UPSTREAM_FAILED, "request_id": scene.execution.request_id})
                # the address is the owner's business, not the caller's
                raise UpstreamFailed(f"the outside system could not be reached ({type(exc).__name__})") from exc
            if span is not None:
                span.set_attribute(spans.HTTP_STATUS, answer["status"])
            self._check(answer)
        return answer

    async def _call(self, scene: Scene, url: URL, headers: dict[str, str], body: Any) -> dict[str, Any]:
        payload = None
        if body is not None:
            payload = body.encode() if isinstance(body, str) else orjson.dumps(body)
            headers.setdefault("content-type", "text/plain" if isinstance(body, str) else JSON)
        http, no_timeout = scene.surroundings.http, ClientTimeout(total=None)
        async with http.request(self._settings.method, url, headers=headers, data=payload,
                                timeout=no_timeout) as response:
            raw = await _bounded(response, scene.surroundings.max_response_bytes)
            answer_headers = {key.lower(): value for key, value in response.headers.items()}
            return {"status": response.status, "headers": answer_headers, "body": _parsed(response, raw)}

    def _check(self, answer: dict[str, Any]) -> None:
        expected, status = self._settings.expect, answer["status"]
        if status in expected if expected else 200 <= status < 300:
            return
        raise UpstreamFailed(f"the outside system answered {status}", members={
            "upstream_status": status, **_asked_to_wait(answer["headers"].get("retry-after", ""))})


def _asked_to_wait(retry_after: str) -> dict[str, int]:
    """`Retry-After` in seconds (RFC 9110, 10.2.3); one with a date is not followed."""
    return {"retry_after_ms": int(retry_after) * 1000} if retry_after.isdecimal() and len(retry_after) < 6 else {}


def _url(text: Any, query: Any) -> URL:
    try:
        url = URL(str(text))
        if query:
            url = url.update_query({name: str(value) for name, value in query.items() if value is not None})
        url.origin()
    except (ValueError, TypeError) as exc:
        raise WorkflowFailed(f"the URL of an http step is not absolute: {str(text)[:200]!r}") from exc
    return url


async def _bounded(response: ClientResponse, limit: int) -> bytes:
    raw = await response.content.read(limit + 1)
    while len(raw) <= limit and not response.content.at_eof():
        raw += await response.content.read(limit + 1 - len(raw))
    if len(raw) > limit:
        raise UpstreamFailed(f"the response is larger than {limit} bytes (WEIR_EXECUTOR_MAX_RESPONSE_BYTES)")
    return raw


def _parsed(response: ClientResponse, raw: bytes) -> Any:
    if response.content_type.endswith("json"):
        if not raw:
            return None
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise UpstreamFailed(f"the response says {response.content_type} and is not JSON: {exc}") from exc
    try:
        return raw.decode(response.charset or "utf-8", errors="replace")
    except LookupError:
        return raw.decode(errors="replace")
