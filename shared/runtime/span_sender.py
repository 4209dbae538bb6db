"""Send exports of spans to an OTLP/HTTP receiver, beside the topic.

In:    exports as bytes, as they are made.
Out:   POST <endpoint>/v1/traces, one after the other (OTLP 1, binary protobuf).
Never: a wait for whoever exports: what the receiver does not take soon is counted and dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from aiohttp import ClientError, ClientSession, ClientTimeout

from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
_PATH, _MEDIA = "/v1/traces", "application/x-protobuf"
# the specification names those that a client may try again
_AGAIN = frozenset({429, 502, 503, 504})
_MOST_SAID = 10_000
_TRIES, _FIRST_PAUSE_S, _LONGEST_PAUSE_S, _TIMEOUT_S, _LAST_S = 4, 0.5, 5.0, 10, 2.0
_MAX_BYTES = 16_000_000


class SpanSender:
    """Holds what waits, and sends it in its own time."""

    def __init__(self, endpoint: str, headers: Iterable[tuple[str, str]], tasks: Tasks, metrics: Metrics) -> None:
        """Sends once started."""
        self._url, self._tasks, self._metrics = endpoint.rstrip("/").removesuffix(_PATH) + _PATH, tasks, metrics
        self._headers = {"content-type": _MEDIA, **dict(headers)}
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._size = 0
        self._some, self._empty = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._http: ClientSession | None = None
        self._loop: asyncio.Task[None] | None = None

    def __call__(self, payload: bytes, count: int) -> None:
        """Take an export of so many spans; one too many is dropped."""
        if self._size + len(payload) > _MAX_BYTES:
            self._metrics.spans_dropped.inc(by=count)
            return
        self._waiting.append((payload, count))
        self._size += len(payload)
        self._some.set()
        self._empty.clear()

    async def start(self) -> None:
        """Send what comes."""
        self._http = ClientSession(timeout=ClientTimeout(total=_TIMEOUT_S), headers=self._headers)
        self._loop = self._tasks.spawn(self._run(self._http), "send spans")

    async def stop(self) -> None:
        """Send what waits, as far as the receiver takes it at once."""
        try:
            async with asyncio.timeout(_LAST_S):
                await self._empty.wait()
        except TimeoutError:
            self._metrics.spans_dropped.inc(by=sum(count for _, count in self._waiting))
        await self._tasks.end(self._loop)
        if self._http is not None:
            await self._http.close()

    async def _run(self, http: ClientSession) -> None:
        while True:
            await self._some.wait()
            while self._waiting:
                payload, count = self._waiting[0]
                if lost := await self._deliver(http, payload, count):
                    self._metrics.spans_dropped.inc(by=lost)
                self._waiting.popleft()
                self._size -= len(payload)
            self._some.clear()
            self._empty.set()

    async def _deliver(self, http: ClientSession, payload: bytes, count: int) -> int:
        """How many of so many spans the receiver did not take."""
        pause_s, why = _FIRST_PAUSE_S, ""
        for _ in range(_TRIES):
            try:
                # followed with a GET it may succeed and takes nothing, and our headers would go along
                async with http.post(self._url, data=payload, allow_redirects=False) as answer:
                    if answer.status < 300:
                        return self._refused(await answer.content.read(_MOST_SAID), answer.content_type)
                    why, asked = f"status {answer.status}", answer.headers.get("retry-after", "")
                    if answer.status not in _AGAIN:
                        break
                    if asked.isascii() and asked.isdecimal():
                        pause_s = float(asked)
            except (ClientError, OSError, TimeoutError) as exc:
                why = type(exc).__name__
            await asyncio.sleep(min(pause_s, _LONGEST_PAUSE_S))
            pause_s *= 2
        log.warning("%s did not take spans: %s", self._url, why, extra={"action": actions.SPANS_REFUSED})
        return count

    def _refused(self, said: bytes, media: str) -> int:
        """Of an export that was taken, the spans that were not."""
        if not said or media != _MEDIA:
            return 0
        # where all are taken nothing is said, and then nobody needs these classes
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
        try:
            part = ExportTraceServiceResponse.FromString(said).partial_success
        except DecodeError:
            return 0
        refused: int = max(0, part.rejected_spans)
        if refused:
            log.warning("%s did not take %d spans: %s", self._url, refused, part.error_message[:500],
                        extra={"action": actions.SPANS_REFUSED})
        return refused
