"""Clients of a project and their tokens.

In:    names and roles.
Out:   clients; a new token's text, once.
Never: a token's text or digest in a listing.
"""

import uuid
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from services.control.api import Body, Call, NotTrue, Result, Route
from services.control.faults import Conflict, NotFound
from services.control.resources.projects import known_project
from shared.contracts import token as tokens
from shared.contracts.config import Client, DroppedToken, Token
from shared.names import topics
from shared.project.base import Name, RoleName
from shared.store.last_used import forget, last_used

_TOPICS = (topics.REQUESTS_EDGE, topics.REQUESTS_INTERNAL)
_ENDED_MS = 30 * topics.DAY_MS


class NewClient(Body):
    """A client to make."""

    name: Name
    roles: list[RoleName] = Field(default_factory=list)


class Roles(Body):
    """What a client may be from now on, all of it."""

    roles: list[RoleName]


class NewToken(Body):
    """How long the token lives; without a number until it is revoked."""

    expires_in_s: Annotated[int, Field(ge=1, le=10 * 365 * 86_400), NotTrue] | None = None


class Rotation(NewToken):
    """The new token's life time, and how long the old ones go on."""

    overlap_s: Annotated[int, Field(ge=0, le=90 * 86_400), NotTrue] = 86_400


async def create_client(call: Call) -> Result:
    """Make a client; 409 when it is there."""
    desk, project = call.desk, known_project(call)
    async with desk.registry.changing() as write:
        if call.body.name in _known_clients(call, project):
            raise Conflict(f"project {project!r} has a client {call.body.name!r} already")
        client = Client(project=project, name=call.body.name, roles=call.body.roles, time=desk.clock.now_ms())
        await write(client, "create client")
    return Result(_client(client, declared=False) | _undeclared(call, client), 201)


async def list_clients(call: Call) -> Result:
    """All clients of a project."""
    project = known_project(call)
    return Result([_client(client, declared=(project, name) not in call.desk.registry.catalogue.clients)
                   for name, client in sorted(_known_clients(call, project).items())])


async def change_client(call: Call) -> Result:
    """Give a client that was made one by one other roles; in force within a second."""
    desk = call.desk
    async with desk.registry.changing() as write:
        client = replace(_made(call), roles=call.body.roles, time=desk.clock.now_ms())
        await write(client, "change client")
    return Result(_client(client, declared=False) | _undeclared(call, client))


async def remove_client(call: Call) -> Result:
    """Take away a client that was made one by one; its tokens end, unless the project's files declare it, too."""
    desk, project = call.desk, known_project(call)
    now_ms = desk.clock.now_ms()
    async with desk.registry.changing() as write:
        client = _made(call)
        if client.name not in _declared(call, project):
            # whoever is called the same later is somebody else
            for token in [token for token in desk.registry.catalogue.tokens_of(project)
                          if token.client == client.name and token.revoked is None]:
                await write(replace(token, revoked=now_ms), "revoke token")
        await write(replace(client, removed=True, time=now_ms), "remove client")
    return Result(_client(client, declared=False))


async def create_token(call: Call) -> Result:
    """Make a token; its text is in this answer and nowhere else."""
    async with call.desk.registry.changing() as write:
        made, shown = _new_token(call)
        await write(made, "create token")
        outlived = _drop_outlived(call, made)
    await forget(call.desk.store, outlived)
    return Result(shown, 201)


async def rotate_token(call: Call) -> Result:
    """Make a token, and let the client's others end after the overlap; its text is in this answer alone."""
    desk = call.desk
    # one change: of two rotations at once each would end the token that the other has made, and none would be left
    async with desk.registry.changing() as write:
        made, shown = _new_token(call)
        ends_ms = desk.clock.now_ms() + call.body.overlap_s * 1000
        others = [token for token in desk.registry.catalogue.tokens_of(made.project)
                  if token.client == made.client and token.revoked is None
                  and (token.expires is None or token.expires > ends_ms)]
        await write(made, "create token")
        for token in others:
            await write(replace(token, expires=ends_ms), "rotate token")
        outlived = _drop_outlived(call, made)
    await forget(call.desk.store, outlived)
    return Result(shown, 201)


async def list_tokens(call: Call) -> Result:
    """All tokens of a project, without their secrets; `used`: the last use, to within seconds."""
    project = known_project(call)
    found = sorted(call.desk.registry.catalogue.tokens_of(project), key=lambda token: token.created)
    used = await last_used(call.desk.store, [token.id for token in found])
    return Result([{**_token(token), "used": used.get(token.id)} for token in found])


async def revoke_token(call: Call) -> Result:
    """Revoke a token; a revoked one stays so."""
    desk = call.desk
    async with desk.registry.changing() as write:
        token = desk.registry.catalogue.tokens.get(call.path["token"])
        if token is None:
            raise NotFound(f"there is no token {call.path['token']!r}; `weir token list` shows their ids")
        if token.revoked is None:
            token = replace(token, revoked=desk.clock.now_ms())
            await write(token, "revoke token")
    return Result(_token(token))


def check_client(call: Call, project: str, name: str) -> None:
    """A name that is mistyped would be nobody's. Raises NotFound; an issuer of JWTs may name whom it likes."""
    guarded, known = call.desk.book.project(project), call.desk.book.clients(project)
    if guarded is not None and name not in known and not guarded.authentication.jwt:
        raise NotFound(f"project {project!r} has no client {name!r}; it has {', '.join(sorted(known)) or 'none'}")


def _new_token(call: Call) -> tuple[Token, dict[str, object]]:
    """A token that is not written yet, and what is shown of it this once. Raises NotFound.

    While a change is made: a client that goes meanwhile would leave a token to whoever is called the same later.
    """
    project, client = known_project(call), call.path["client"]
    if client not in _known_clients(call, project):
        raise NotFound(f"project {project!r} has no client {client!r}; `weir client create` makes one")
    text, now_ms = tokens.new_token(), call.desk.clock.now_ms()
    digests = {topic: tokens.topic_digest(text, topic) for topic in _TOPICS}
    life_s = call.body.expires_in_s
    token = Token(id=str(uuid.uuid4()), project=project, client=client, created=now_ms,
                  expires=None if life_s is None else now_ms + life_s * 1000,
                  digests={topic: tokens.stored_digest(digest) for topic, digest in digests.items()})
    return token, {**_token(token), "token": text, "internal_digest": digests[topics.REQUESTS_INTERNAL]}


def _drop_outlived(call: Call, made: Token) -> list[str]:
    """Of a client that gets another token, those that ended so long ago that whoever still shows one may be told that
    there is none: clients that rotate daily would leave all services more of them with each day."""
    registry, before_ms = call.desk.registry, call.desk.clock.now_ms() - _ENDED_MS
    outlived = [token.id for token in registry.catalogue.tokens_of(made.project) if token.client == made.client
                and min(token.expires or before_ms, token.revoked or before_ms) < before_ms]
    registry.drop(made.project, [DroppedToken(id=one) for one in outlived])
    return outlived


def _made(call: Call) -> Client:
    """The client in the address, if it was made one by one. Raises NotFound, Conflict."""
    project, name = known_project(call), call.path["client"]
    made = call.desk.registry.catalogue.clients.get((project, name))
    if made is None and name in _declared(call, project):
        raise Conflict(f"client {name!r} stands in the access.yaml of {project!r}; change it there, and `weir apply`")
    if made is None:
        raise NotFound(f"project {project!r} has no client {name!r}; `weir client list` shows them")
    return made


def _known_clients(call: Call, project: str) -> dict[str, Client]:
    """Clients that the project's files declare, and those made one by one."""
    return {**_declared(call, project), **call.desk.registry.catalogue.clients_of(project)}


def _declared(call: Call, project: str) -> dict[str, Client]:
    newest = call.desk.registry.catalogue.newest(project)
    documents = newest.document.get("clients", ()) if newest is not None else ()
    return {raw["name"]: Client(project=project, name=raw["name"], roles=list(raw.get("roles", ())),
                                time=newest.time if newest is not None else 0) for raw in documents}


def _undeclared(call: Call, client: Client) -> dict[str, list[str]]:
    """Roles for which no rule can ask: a slip, or of a version that is to come."""
    newest = call.desk.registry.catalogue.newest(client.project)
    known = newest.document.get("roles", ()) if newest is not None else ()
    found = [role for role in client.roles if role not in known]
    return {"undeclared_roles": found} if found else {}


def _client(client: Client, *, declared: bool) -> dict[str, object]:
    return {"project": client.project, "name": client.name, "roles": client.roles,
            "made_by": "access.yaml" if declared else "command", "time": client.time}


def _token(token: Token) -> dict[str, object]:
    return {"id": token.id, "project": token.project, "client": token.client, "created": token.created,
            "expires": token.expires, "revoked": token.revoked}


ROUTES = (
    Route(method="GET", path="/projects/{project}/clients", summary="List clients", handler=list_clients),
    Route(method="POST", path="/projects/{project}/clients", summary="Make a client", handler=create_client,
          body=NewClient, status=201),
    Route(method="PUT", path="/projects/{project}/clients/{client}", summary="Give a client other roles",
          handler=change_client, body=Roles),
    Route(method="DELETE", path="/projects/{project}/clients/{client}", summary="Remove a client, and end its tokens",
          handler=remove_client),
    Route(method="GET", path="/projects/{project}/tokens", summary="List tokens, without their secrets",
          handler=list_tokens),
    Route(method="POST", path="/projects/{project}/clients/{client}/tokens", summary="Make a token",
          handler=create_token, body=NewToken, status=201),
    Route(method="POST", path="/projects/{project}/clients/{client}/tokens/rotate",
          summary="Make a token; the client's others end after the overlap", handler=rotate_token, body=Rotation,
          status=201),
    Route(method="POST", path="/tokens/{token}/revoke", summary="Revoke a token", handler=revoke_token),
)
