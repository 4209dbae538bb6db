"""The door: HTTP requests in, results of the resources out.

In:    requests with the admin token.
Out:   JSON, or problem+json.
Never: a rule; the resources have them.
"""

import hmac
import logging
import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import orjson
from aiohttp import web
from multidict import MultiMapping
from pydantic import ValidationError

from services.control.admin_openapi import admin_openapi
from services.control.api import Body, Call, Desk, Result, Route
from shared.contracts import ids
from shared.errors import (
    BodyTooLarge,
    CredentialsInvalid,
    CredentialsMissing,
    InputInvalid,
    MethodNotAllowed,
    OperationNotFound,
    WeirError,
    problem,
)
from shared.names import actions
from shared.names.headers import HTTP_REQUEST_ID, JSON, PROBLEM_JSON
from shared.project.pointers import pointer_to
from shared.project.wording import Mistake, mistakes
from shared.runtime.connections import UNREADABLE, unreadable
from shared.runtime.health import Health

log = logging.getLogger(__name__)
_MAX_BODY_BYTES = 2_000_000
# whoever tries tokens tries many: one line in such a time says how many there were
_TELL_AGAIN_US = 60_000_000


class AdminDoor:
    """The aiohttp application of the admin API."""

    def __init__(self, desk: Desk, health: Health, routes: Sequence[Route], token: str) -> None:
        """`token`: what callers send as a bearer token."""
        self._desk, self._health, self._token = desk, health, token
        self._refused, self._tell_from_us = 0, 0
        self._document = orjson.dumps(admin_openapi(routes))
        self.application = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[self._guard])
        self.application.router.add_get("/openapi.json", self._openapi)
        self.application.router.add_get("/-/{page}", self._page)
        for route in routes:
            # of its own accord it lets no name have a brace, and one of JWT may be anything
            path = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", route.path)
            self.application.router.add_route(route.method, f"/v1{path}", self._handler(route))

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Check the token, and turn every error into a problem."""
        try:
            if request.path.startswith("/v1"):
                self._let_in(request)
            response: web.StreamResponse = await handler(request)
        except WeirError as error:
            return self._problem(error)
        except web.HTTPMethodNotAllowed as exc:
            return self._problem(MethodNotAllowed(f"{request.path} takes {', '.join(sorted(exc.allowed_methods))}",
                                                  headers={"Allow": ", ".join(sorted(exc.allowed_methods))}))
        except web.HTTPRequestEntityTooLarge:
            return self._problem(BodyTooLarge(f"the body is larger than {_MAX_BODY_BYTES} bytes"))
        except UNREADABLE as exc:
            return self._problem(unreadable(exc))
        except web.HTTPNotFound:
            return self._problem(OperationNotFound(f"nothing is at {request.path}; /openapi.json lists what is"))
        except Exception:
            log.exception("an admin request failed", extra={"action": actions.REQUEST_FAILED})
            return self._problem(WeirError("an error inside control; its log says more"))
        return response

    def _let_in(self, request: web.Request) -> None:
        """Raises CredentialsMissing, CredentialsInvalid."""
        try:
            self._check_token(request)
        except (CredentialsMissing, CredentialsInvalid) as error:
            self._health.metrics.admin_refused.inc(error.reason)
            if isinstance(error, CredentialsInvalid):
                self._tell(request.remote)
            raise

    def _tell(self, address: str | None) -> None:
        self._refused += 1
        now_us = self._desk.clock.elapsed_us()
        if now_us >= self._tell_from_us:
            log.warning("%d calls of the admin API with a wrong token since this was last told; the latest from %s",
                        self._refused, address, extra={"action": actions.ADMIN_REFUSED})
            self._refused, self._tell_from_us = 0, now_us + _TELL_AGAIN_US

    def _check_token(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise CredentialsMissing("send the admin token: `Authorization: Bearer ...`; it stands in the file "
                                     "admin-token of the state folder", headers={"WWW-Authenticate": "Bearer"})
        # bytes that are no text come as halves of characters
        shown = token.strip().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, self._token.encode()):
            raise CredentialsInvalid("this is not the admin token", headers={"WWW-Authenticate": "Bearer"})

    def _handler(self, route: Route) -> Any:
        async def handle(request: web.Request) -> web.Response:
            _check_query(route, request.query)
            body = None if route.body is None else _body(route.body, await request.read())
            result: Result = await route.handler(
                Call(desk=self._desk, path=request.match_info, query=request.query, body=body,
                     gone=lambda: request.transport is None or request.transport.is_closing()))
            text = orjson.dumps(result.body) if result.media == JSON else str(result.body).encode()
            return web.Response(status=result.status, body=text, content_type=result.media, charset=_charset(result),
                                headers=result.headers)
        return handle

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type=JSON)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        page = await self._health.answer(request.path, request.headers.get("Accept", ""))
        if page is None:
            raise web.HTTPNotFound
        return page

    def _problem(self, error: WeirError) -> web.Response:
        request_id = ids.request_id(self._desk.clock.now_ms())
        return web.Response(status=error.status, body=orjson.dumps(problem(error, request_id)),
                            headers={**error.headers, HTTP_REQUEST_ID: request_id}, content_type=PROBLEM_JSON)


def _check_query(route: Route, query: MultiMapping[str]) -> None:
    """Whoever mistypes a filter would be told of everything. Raises InputInvalid."""
    names = Counter(name for name, _ in query.items())
    for name, times in names.items():
        if name not in route.query:
            close = get_close_matches(name, route.query, 1)
            meant = f", perhaps {close[0]!r} is meant" if close else ""
            known = f"; here may stand {', '.join(route.query)}" if route.query else "; nothing may stand there"
            raise InputInvalid(f"unknown {name[:40]!r} in the query of the address{meant}{known}")
        if times > 1:
            raise InputInvalid(f"{name} stands in the query of the address {times} times, and counts once; several "
                               "values are separated by commas")


def _charset(result: Result) -> str | None:
    return "utf-8" if result.media.startswith("text/") else None


def _body(model: type[Body], raw: bytes) -> Body:
    """Raises InputInvalid: each mistake with its place, and without the value there, which may be a secret."""
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as exc:
        errors = [{"in": "body", "pointer": pointer_to(mistake.loc), "message": _said(mistake)}
                  for mistake in mistakes(exc, model)]
        raise InputInvalid("the body does not fit; `errors` lists what is wrong", members={"errors": errors}) from exc


def _said(mistake: Mistake) -> str:
    """Without its place, which stands beside it."""
    place = f"{'.'.join(map(str, mistake.loc))}: "
    said = mistake.message.removeprefix(place).replace("Invalid JSON: ", "this is no JSON: ", 1)
    return said.replace("has to be a mapping", "has to be an object", 1)
