"""Liveness, readiness and metrics over HTTP, the same on every service.

In:    the state of the process, its metrics.
Out:   `/-/live`, `/-/ready` (200 or 503, with the reason), `/-/metrics`.
Never: business; the ingress and control mount `answer` on their own ports.
"""

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from shared.names import metrics as M
from shared.names.headers import JSON
from shared.runtime.connections import Server
from shared.telemetry.metrics import Metrics

LIVE, READY, METRICS = "/-/live", "/-/ready", "/-/metrics"
# where Prometheus looks unless told otherwise; only on a port that has no projects
USUAL_METRICS = "/metrics"
Probe = Callable[[], Awaitable[str | None]]


class Health:
    """`not_ready_because` is None once the service can do its work."""

    def __init__(self, service: str, metrics: Metrics) -> None:
        """Starts out as not ready."""
        self._service = service
        self.metrics = metrics
        self.not_ready_because: str | None = "starting"
        # what the probes said last
        self._found: str | None = None
        metrics.read(M.READY, lambda: (self.not_ready_because or self._found) is None)
        # asked in this order; the first reason counts
        self.probes: list[Probe] = []

    async def answer(self, path: str, accept: str = "") -> web.Response | None:
        """Answer one of the three paths; None for any other. `accept`: which text of the metrics is wanted."""
        if path == METRICS:
            # weir_ready is what `/-/ready` would say: whoever looks at metrics alone may be the only one to look
            await self._reason()
            text, content_type = await self.metrics.told(accept)
            return web.Response(body=text, headers={"Content-Type": content_type})
        if path == LIVE:
            return _state(200, self._service, None)
        if path == READY:
            reason = await self._reason()
            return _state(503 if reason else 200, self._service, reason)
        return None

    async def _reason(self) -> str | None:
        found = None
        for probe in self.probes if self.not_ready_because is None else ():
            found = found or await probe()
        self._found = found
        return self.not_ready_because or found


def _state(status: int, service: str, reason: str | None) -> web.Response:
    body = {"service": service, "status": "ok" if reason is None else "not ready", "reason": reason}
    return web.Response(status=status, body=orjson.dumps(body), content_type=JSON)


class HealthServer:
    """A small server of its own, for services that serve no other HTTP."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        """Port 0 lets the system choose."""
        self._health, self._host, self._port = health, host, port
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._runner = web.ServerRunner(Server(self._serve, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = METRICS if request.path == USUAL_METRICS else request.path
        return await self._health.answer(path, request.headers.get("Accept", "")) or web.Response(status=404)
