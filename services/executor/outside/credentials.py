"""Credentials at work: how a request proves who sends it.

In:    sealed credentials of the config topic; requests.
Out:   requests with their proof.
Never: a secret in an error, a log, a span or a step's output; a token fetched twice at the same time.

Kinds: bearer (RFC 6750), basic (RFC 7617), api_key (a header or a query parameter), oauth2 (client credentials, RFC
6749, 4.4), hmac (a signature by Standard Webhooks over id, time and body).
"""

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from urllib.parse import quote_plus

from aiohttp import ClientError
from yarl import URL

from services.executor.outside.client import OutsideClient, Request, Response, is_private, shown_url, why
from services.executor.outside.reading import json_of
from services.executor.retries import asked_to_wait, retry_after_ms
from shared.clock import Clock
from shared.contracts.config import Credential
from shared.contracts.credentials import place_of
from shared.contracts.sealed import Seal, SealBroken
from shared.contracts.token import topic_digest
from shared.errors import TimedOut, UpstreamFailed, WeirError, WorkflowFailed
from shared.names import actions
from shared.runtime.tasks import heard

log = logging.getLogger(__name__)
_FORM = "application/x-www-form-urlencoded"
# a token is fetched anew so long before it ends
_EARLY_MS = 30_000
# between two tries to fetch the next one while the one before is good
_REST_MS = 1_000
_UNSAID_LIFE_MS = 300_000
# a token that is said to live longer is fetched anew after it; a number of any size is one in JSON
_LONGEST_LIFE_S = 365 * 86_400
_MAX_TOKEN_BYTES = 100_000
_TOKEN_TIMEOUT_S = 10.0


@dataclass(slots=True)
class _Grant:
    """An access token, from when on the next one is fetched, and who waits for it."""

    token: str = field(default="", repr=False)
    renew_ms: int = 0
    ends_ms: int = 0
    asking: asyncio.Future[None] | None = None


class Credentials:
    """Of all projects."""

    def __init__(self, seal: Seal | None, http: OutsideClient, clock: Clock) -> None:
        """Without a seal, none can be used."""
        self._seal, self._http, self._clock = seal, http, clock
        self._known: dict[tuple[str, str], Credential] = {}
        self._grants: dict[str, _Grant] = {}

    def take(self, credential: Credential) -> None:
        """Take in a credential; one without a sealed part is removed."""
        place = credential.project, credential.name
        before = self._known.pop(place, None)
        if before is not None and before.sealed != credential.sealed:
            self._grants.pop(before.sealed, None)
        if credential.sealed:
            self._known[place] = credential

    async def send(self, project: str, name: str, request: Request, redirects: int, max_bytes: int) -> Response:
        """Send a request with its proof; a token that the outside system takes no more is fetched anew, once.

        Raises what `OutsideClient.exchange` raises; WorkflowFailed: credential-missing, credential-unusable.
        """
        credential, members = self._open(project, name)
        if credential.kind != "oauth2":
            return await self._http.exchange(proven(request, credential.kind, members, self._clock.now_ms()),
                                             redirects, max_bytes)
        grant = self._grants.setdefault(credential.sealed, _Grant())
        token = await self._token(grant, members, stale="")
        response = await self._http.exchange(_bearing(request, token), redirects, max_bytes)
        if response.status == 401:
            token = await self._token(grant, members, stale=token)
            response = await self._http.exchange(_bearing(request, token), redirects, max_bytes)
        return response

    def digest(self, project: str, name: str, topic: str) -> str:
        """What stands for a bearer credential on a request topic. Raises WorkflowFailed."""
        credential, members = self._open(project, name)
        if credential.kind != "bearer":
            raise WorkflowFailed(f"credential {name!r} is of the kind {credential.kind}; an operation is called with a "
                                 "token: one of the kind bearer", kind="credential-unusable")
        return topic_digest(members["token"], topic)

    def _open(self, project: str, name: str) -> tuple[Credential, Mapping[str, str]]:
        credential = self._known.get((project, name))
        if credential is None:
            raise WorkflowFailed(f"there is no credential {name!r}; `weir credential set {project} {name}` sets it",
                                 kind="credential-missing")
        if self._seal is None:
            raise WorkflowFailed("the executor has no cluster key to open credentials with (WEIR_CLUSTER_KEY)",
                                 kind="credential-unusable")
        try:
            return credential, self._seal.open(credential.sealed, place_of(project, name))
        except SealBroken:
            raise WorkflowFailed(f"credential {name!r} was sealed under a key that is not known any more; set it again",
                                 kind="credential-unusable") from None

    async def _token(self, grant: _Grant, members: Mapping[str, str], *, stale: str) -> str:
        """One that is fetched comes to its end, and is there for the next call, though a step waits no more for it."""
        now_ms = self._clock.now_ms()
        good = grant.token != stale and now_ms < grant.ends_ms
        asking = None if grant.asking is None or grant.asking.done() else grant.asking
        if asking is None and (not good or grant.renew_ms <= now_ms):
            grant.renew_ms = now_ms + _REST_MS
            asking = grant.asking = asyncio.ensure_future(self._renew(grant, members))
            asking.add_done_callback(heard)
        if asking is not None and not good:
            try:
                await asyncio.shield(asking)
            except WeirError as error:
                # each step that waited writes its own name into it
                raise copy(error) from None
        return grant.token

    async def _renew(self, grant: _Grant, members: Mapping[str, str]) -> None:
        now_ms = self._clock.now_ms()
        try:
            doc = await self._ask(members)
        except WeirError as error:
            grant.renew_ms = now_ms + max(_REST_MS, retry_after_ms(error))
            raise
        grant.token = str(doc["access_token"])
        life_ms = _life_ms(doc.get("expires_in"))
        grant.renew_ms, grant.ends_ms = now_ms + max(life_ms - _EARLY_MS, life_ms // 2), now_ms + life_ms

    async def _ask(self, members: Mapping[str, str]) -> dict[str, object]:
        form = {"grant_type": "client_credentials", **({"scope": members["scope"]} if members.get("scope") else {})}
        request = Request(
            method="POST", url=URL(members["token_url"]), body=URL.build(query=form).raw_query_string.encode(),
            headers={"content-type": _FORM, "accept": "application/json",
                     # both as in a form (RFC 6749, 2.3.1): a colon in the id would be taken for the end of it
                     "authorization": _basic(quote_plus(members["client_id"]), quote_plus(members["client_secret"]))})
        try:
            async with asyncio.timeout(_TOKEN_TIMEOUT_S):
                response = await self._http.exchange(request, 0, _MAX_TOKEN_BYTES)
        except TimeoutError:
            raise TimedOut(f"the token endpoint did not answer within {_TOKEN_TIMEOUT_S:g} s") from None
        except (ClientError, OSError) as exc:
            if is_private(exc):
                raise
            log.warning("POST %s: %s", shown_url(request.url), type(exc).__name__, extra={
                "action": actions.UPSTREAM_FAILED})
            raise UpstreamFailed(why(exc, "the token endpoint")) from None
        try:
            doc = json_of(response.body, response.charset)
        except ValueError:
            doc = None
        if response.status != 200 or not isinstance(doc, dict) or not isinstance(doc.get("access_token"), str):
            raise UpstreamFailed(f"the token endpoint gave no token ({response.status})", members={
                "upstream_status": response.status, **asked_to_wait(response.headers, self._clock.now_ms())})
        return doc


def _life_ms(said: object) -> int:
    """Of an access token; some servers say it as a text."""
    if isinstance(said, str) and said.isascii() and said.isdecimal():
        said = int(said[:9])
    return int(max(0, min(said, _LONGEST_LIFE_S)) * 1000) if isinstance(said, int | float) else _UNSAID_LIFE_MS


def proven(request: Request, kind: str, members: Mapping[str, str], now_ms: int) -> Request:
    """The request with the proof of a kind that needs no other request."""
    if kind == "bearer":
        return _bearing(request, members["token"])
    if kind == "basic":
        return _with(request, {"authorization": _basic(members["username"], members["password"])})
    if kind == "api_key":
        if members.get("query"):
            return replace(request, url=request.url.update_query({members["query"]: members["value"]}))
        return _with(request, {members.get("header") or "x-api-key": members["value"]})
    return _with(request, _signature(request, members, now_ms))


def _signature(request: Request, members: Mapping[str, str], now_ms: int) -> dict[str, str]:
    secret = members["secret"]
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True) if secret.startswith("whsec_") else (
            secret.encode())
    except ValueError:
        raise WorkflowFailed("the secret of an hmac credential is no base64 behind `whsec_`",
                             kind="credential-unusable") from None
    message_id = request.headers.get("idempotency-key") or _message_id(request)
    told = str(now_ms // 1000)
    signed = f"{message_id}.{told}.".encode() + (request.body or b"")
    signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {"webhook-id": message_id, "webhook-timestamp": told,
            members.get("header") or "webhook-signature": f"v1,{signature}"}


def _message_id(request: Request) -> str:
    """The same in each try, and when its execution is started over; another one in each execution, be the words the
    same: whoever gets it takes a second one of that id for one that came again."""
    told = hashlib.sha256(f"{request.execution} {request.method} {request.url} ".encode() + (request.body or b""))
    return f"msg_{told.hexdigest()[:24]}"


def _bearing(request: Request, token: str) -> Request:
    return _with(request, {"authorization": f"Bearer {token}"})


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _with(request: Request, headers: Mapping[str, str]) -> Request:
    # of a name that is spelled in two ways aiohttp sends the last
    return replace(request, headers={**request.headers, **headers})
