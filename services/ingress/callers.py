"""Who calls, as far as the edge can know, and who of them is blocked.

In:    the connection and the headers of a request; tokens and signals in force.
Out:   the parts of a request, the owner of its token, Blocked.
Never: whether a token is any good: policy decides that.

Blocked is returned, not raised: an exception that its own frame still holds is garbage that only the collector finds,
and there may be very many.
"""

from aiohttp import web

from services.ingress import translate
from services.ingress.origin import client_ip, forwarded_for, hops
from services.ingress.routes import EdgeRoutes, Target
from services.ingress.settings import IngressSettings
from services.ingress.visit import Visit
from shared.contracts.config import Token
from shared.contracts.token import each
from shared.decision.checks.signals import refusal
from shared.decision.signals import SignalBoard
from shared.errors import Blocked
from shared.project.access.facts import packed, spelled
from shared.project.access.networks import Networks


class Callers:
    """Of one ingress process."""

    def __init__(self, settings: IngressSettings, routes: EdgeRoutes, board: SignalBoard) -> None:
        """`board`: who is blocked."""
        self._settings, self._routes, self._board = settings, routes, board
        self._proxies = Networks(settings.trusted_proxies)

    def parts(self, request: web.BaseRequest, path: str, query: str) -> translate.HttpParts:
        """The request but for its body; `path` below the project."""
        settings = self._settings
        headers = translate.clean_headers(request.headers.items())
        certificate = headers.pop(settings.certificate_header, "") if settings.certificate_header else ""
        if certificate and not self._proxies.holds(packed(request.remote or "")):
            certificate = ""
        return translate.HttpParts(method=request.method, path=path, query=query, headers=headers,
                                   client_ip=self.address(request), certificate=certificate)

    def address(self, request: web.BaseRequest) -> str:
        """Where it comes from; empty when a trusted proxy does not know it."""
        # a socket of both families tells IPv4 as IPv6
        settings, remote = self._settings, spelled(request.remote or "")
        if not settings.trusted_proxies:
            return remote
        chain = (forwarded_for(request.headers.getall("forwarded", [])) if settings.forwarded_by == "forwarded"
                 else hops(", ".join(request.headers.getall("x-forwarded-for", []))))
        return client_ip(remote, chain, self._proxies)

    def address_of(self, remote: str, forwarded_for: str) -> str | None:
        """The same of a request of which no more is known than these; None where that is too little."""
        if not self._settings.trusted_proxies:
            return spelled(remote)
        if self._settings.forwarded_by == "forwarded":
            return None
        return client_ip(spelled(remote), hops(forwarded_for), self._proxies)

    def any_blocked(self, now_ms: int) -> bool:
        """Whether anybody may be."""
        return self._board.blocks(now_ms)

    def blocked(self, visit: Visit, seen: translate.HttpParts, target: Target, now_ms: int) -> Blocked | None:
        """Whether the caller is, before anything is read or published."""
        if not self._board.blocks(now_ms):
            return None
        return self.blocked_by(visit, target, translate.proofs(seen, target).digest, seen.client_ip, now_ms)

    def blocked_by(self, visit: Visit, target: Target, digest: str | None, address: str, now_ms: int) -> Blocked | None:
        """The same of a caller whose token and address are known."""
        token = self._shown_by(digest, target)
        subjects = [("ip", address)]
        if token is not None:
            subjects += [("client", token.client), ("token", token.id)]
        found = refusal(self._board.about(target.project, subjects, now_ms), now_ms)
        if found is not None:
            visit.caller = _of_project(token, target)
        return found

    def blocked_address(self, request: web.BaseRequest, project: str, now_ms: int) -> Blocked | None:
        """The same of a caller of no operation, of whom nothing else is known."""
        if not self._board.blocks(now_ms):
            return None
        return refusal(self._board.about(project, [("ip", self.address(request))], now_ms), now_ms)

    def owner(self, seen: translate.HttpParts, target: Target) -> Token | None:
        """Whose token it is, of a request that the edge ends."""
        return _of_project(self._shown_by(translate.proofs(seen, target).digest, target), target)

    def _shown_by(self, digest: str | None, target: Target) -> Token | None:
        """The token that was shown; of several the one that policy will believe, as far as the edge can know."""
        first = None
        for one in each(digest):
            token = self._routes.caller_of(one)
            if _of_project(token, target) is not None:
                return token
            first = first or token
        return first


def _of_project(token: Token | None, target: Target) -> Token | None:
    return token if token is not None and token.project == target.project and token.revoked is None else None
