"""Credentials by which workflows prove to outside systems who they are.

In:    a name, a kind, its members, its secret.
Out:   the credential, sealed, on the config topic.
Never: a secret in an answer, in a listing, on a topic in the clear.
"""

from pydantic import Field, SecretStr

from services.control.api import Body, Call, Result, Route
from services.control.faults import Conflict, NotFound
from services.control.resources.projects import known_project
from shared.contracts.config import Credential
from shared.contracts.credentials import MEMBERS, SECRET_OF, place_of, unusable
from shared.errors import InputInvalid
from shared.project.base import Name
from shared.project.model import CredentialKind


class NewCredential(Body):
    """A credential to set. `members`: what its kind has beside the secret."""

    name: Name
    kind: CredentialKind
    members: dict[str, str] = Field(default_factory=dict)
    secret: SecretStr = Field(min_length=1, max_length=10_000)


async def set_credential(call: Call) -> Result:
    """Set a credential; one of the same name is replaced."""
    desk, project, body = call.desk, call.path["project"], call.body
    newest = desk.registry.catalogue.newest(project)
    if newest is None:
        raise NotFound(f"there is no project {project!r}; `weir apply` makes one")
    declared = {one["name"]: one["kind"] for one in newest.document.get("credentials", ())}
    if body.name in declared and declared[body.name] != body.kind:
        raise InputInvalid(f"the project's credentials.yaml says that {body.name!r} is of the kind "
                           f"{declared[body.name]}, not {body.kind}")
    seal = desk.book.vault.seal
    if seal is None:
        raise Conflict("control has no cluster key to seal credentials with (WEIR_CLUSTER_KEY)")
    required, optional = MEMBERS[body.kind]
    wrong = [f"{name} is missing" for name in required if not body.members.get(name)]
    wrong += [f"{name} is none of its members" for name in body.members if name not in {*required, *optional}]
    members = {**body.members, SECRET_OF[body.kind]: body.secret.get_secret_value()}
    wrong += unusable(members)
    if wrong:
        raise InputInvalid(f"a credential of the kind {body.kind}: {'; '.join(wrong)}")
    async with desk.registry.changing() as write:
        made = Credential(project=project, name=body.name, kind=body.kind, time=desk.clock.now_ms(),
                          sealed=seal.close(members, place_of(project, body.name)))
        await write(made, "set credential")
    return Result(_shown(made), 201)


async def list_credentials(call: Call) -> Result:
    """All credentials of a project, without their secrets."""
    project = known_project(call)
    return Result([_shown(one) for one in call.desk.registry.catalogue.credentials.values() if one.project == project])


async def remove_credential(call: Call) -> Result:
    """Remove a credential; calls that need it fail from then on."""
    desk, place = call.desk, (call.path["project"], call.path["name"])
    async with desk.registry.changing() as write:
        known = desk.registry.catalogue.credentials.get(place)
        if known is None:
            raise NotFound(f"project {place[0]!r} has no credential {place[1]!r}; `weir credential list` shows them")
        await write(Credential(project=known.project, name=known.name, kind=known.kind, sealed="",
                               time=desk.clock.now_ms()), "remove credential")
    return Result(_shown(known))


def _shown(credential: Credential) -> dict[str, object]:
    return {"project": credential.project, "name": credential.name, "kind": credential.kind, "time": credential.time}


ROUTES = (
    Route(method="GET", path="/projects/{project}/credentials", summary="List credentials, without their secrets",
          handler=list_credentials),
    Route(method="POST", path="/projects/{project}/credentials", summary="Set a credential", handler=set_credential,
          body=NewCredential, status=201),
    Route(method="POST", path="/projects/{project}/credentials/{name}/remove", summary="Remove a credential",
          handler=remove_credential),
)
