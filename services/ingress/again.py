"""What is said to those who were refused, and come again with the same head, and to all while nobody can come in.

In:    requests that were refused for what their head says, requests whose head nobody knows; who is blocked, how many
       are under way, whether anything can be published.
Out:   the bytes of each further refusal, counted and told like the first one.
Never: a refusal for what is so no more: after a moment all of it is looked at anew.
"""

from functools import partial

from aiohttp import HttpVersion, HttpVersion11, web
from msgspec import Struct

from services.ingress import answer, cors, message, translate
from services.ingress.callers import Callers
from services.ingress.doorstep import Connection, Heads, Plain
from services.ingress.endings import Endings
from services.ingress.gate import Gate
from services.ingress.pages import may_be_page
from services.ingress.routes import EdgeRoutes, Target, split
from services.ingress.traces import EdgeTraces
from services.ingress.visit import Visit
from shared.client.caller import Caller
from shared.clock import Clock
from shared.contracts import ids
from shared.contracts.config import Token
from shared.contracts.traceparent import TraceContext
from shared.errors import WeirError
from shared.names import headers as H
from shared.names.reasons import Reason
from shared.project.modes import OWN_PATHS

# refusals for what a head says, or whatever it says
AGAIN = frozenset((Reason.BLOCKED, Reason.OVERLOADED, Reason.UNAVAILABLE))
# for so long the same words are said; a second later they would be wrong (Retry-After)
_SAME_MS = 200
# paths of which it is known what is told there; more are forgotten all together
_MOST = 4_096


class _Told(Struct, frozen=True):
    """A refusal, as it was made for one of them. `full`: nobody could come in then."""

    message: bytes
    request_id: bytes
    error: WeirError
    target: Target
    caller: Token | None
    full: bool
    until_ms: int


class _Head(Struct, kw_only=True):
    """What a head says, as far as it matters. `parts` of the path: the project, and what is below it. `known`: whether
    all of it is known; then `digest` is that of its token. `told`: what the last one like it was told."""

    method: str
    path: str
    parts: tuple[str, str]
    origin: str | None
    known: bool = False
    digest: str | None = None
    version: HttpVersion = HttpVersion11
    told: _Told | None = None


class Again(Struct, frozen=True, kw_only=True):
    """Of one ingress process."""

    clock: Clock
    routes: EdgeRoutes
    caller: Caller
    gate: Gate
    callers: Callers
    traces: EdgeTraces
    endings: Endings
    heads: Heads
    paths: dict[tuple[str, str, str | None], _Head] = {}

    def crowded(self) -> bool:
        """Whether nobody can come in now, whoever it is; otherwise one is on its way."""
        if self.gate.full or self._away() is not None:
            return True
        self.gate.expect()
        return False

    def stranger(self, asked: Plain, remote: str) -> bytes | None:
        """The refusal of a request of whose caller nothing is known, while nobody can come in."""
        if may_be_page(asked.method, asked.path):
            return None
        address = self.callers.address_of(remote, asked.forwarded_for)
        if address is None:
            return None
        head = self.paths.get((asked.method, asked.path, asked.origin))
        if head is None:
            if len(self.paths) >= _MOST:
                self.paths.clear()
            head = self.paths[asked.method, asked.path, asked.origin] = _Head(
                method=asked.method, path=asked.path, parts=split(asked.path), origin=asked.origin)
        return self._refusal(head, address)

    def know(self, request: web.BaseRequest, visit: Visit) -> None:
        """It was refused for what its head says; the next one like it need not be read."""
        protocol, target = request.protocol, visit.target
        if (target is None or visit.came is not None or H.HTTP_TRACE in request.headers or not request.keep_alive
                or request.method == "OPTIONS" or request.version != HttpVersion11
                or visit.path.startswith(OWN_PATHS) or not isinstance(protocol, Connection) or not protocol.arrival
                or self.heads.find(protocol.arrival, protocol.remote) is not None):
            return
        seen = self.callers.parts(request, visit.below, request.raw_path.partition("?")[2])
        head = _Head(method=request.method, path=visit.path, parts=(visit.project, visit.below), known=True,
                     digest=translate.proofs(seen, target).digest, origin=request.headers.get(cors.ORIGIN))
        self.heads.put(protocol.arrival, protocol.remote, partial(self._refusal, head, seen.client_ip))

    def _refusal(self, head: _Head, address: str) -> bytes | None:
        """None when it may not be refused now, or not for that."""
        now_ms, full, told = self.clock.now_ms(), self.gate.full, head.told
        if told is None or now_ms >= told.until_ms or full is not told.full:
            told = head.told = self._look(head, address, now_ms, full=full)
            if told is None:
                return None
        elif full:
            self.gate.refused()
        visit = self._visit(head, told.target, now_ms)
        visit.caller = told.caller
        self.traces.begin(visit, told.target, forced=False)
        self.endings.count(visit, told.error, address)
        self.endings.finish(visit, told.error.status)
        return told.message.replace(told.request_id, visit.request_id.encode())

    def _look(self, head: _Head, address: str, now_ms: int, *, full: bool) -> _Told | None:
        """What those who come with this head are told for a moment; None for one who is to be read."""
        away = self._away()
        if full or away is not None or self.callers.any_blocked(now_ms):
            try:
                target = self.routes.find(head.method, *head.parts)
            except WeirError:
                return None
            visit = self._visit(head, target, now_ms)
            error = away or self.gate.refusal(first=False)
            if error is None and head.known:
                error = self.callers.blocked_by(visit, target, head.digest, address, now_ms)
            if error is not None:
                result = answer.shaped(answer.of_error(error, visit.request_id), target,
                                       {} if head.origin is None else {cors.ORIGIN: head.origin})
                made = message.message(head, result, now_ms // 1000, keep_alive=True)
                return _Told(made, visit.request_id.encode(), error, target, visit.caller, full, now_ms + _SAME_MS)
        self.gate.expect()
        return None

    def _away(self) -> WeirError | None:
        """Why nothing can be published now."""
        try:
            self.caller.check()
        except WeirError as error:
            return error
        return None

    def _visit(self, head: _Head, target: Target, now_ms: int) -> Visit:
        return Visit(ids.request_id(now_ms), head.method, head.path, *head.parts, None,
                     TraceContext.new(sampled=False), self.clock.elapsed_us(), target)
