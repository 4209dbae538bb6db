"""Commands on clients and tokens.

In:    names.
Out:   clients, tokens; a token's text once, when it is made.
Never: a token's text a second time.
"""

from typing import Annotated, Any

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.output import AsJson

ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]
ClientName = Annotated[str, typer.Argument(help="Name of the client.")]


def register(app: typer.Typer) -> None:
    """Add the groups."""
    client = typer.Typer(no_args_is_help=True, help="Clients of a project.")
    client.command(name="create")(create_client)
    client.command(name="change")(change_client)
    client.command(name="remove")(remove_client)
    client.command(name="list")(list_clients)
    app.add_typer(client, name="client")
    token = typer.Typer(no_args_is_help=True, help="Tokens of clients.")
    token.command(name="create")(create_token)
    token.command(name="rotate")(rotate_token)
    token.command(name="list")(list_tokens)
    token.command(name="revoke")(revoke_token)
    app.add_typer(token, name="token")


def create_client(project: ProjectName, name: ClientName,
                  role: Annotated[list[str] | None, typer.Option(help="A role; may be given several times.")] = None,
                  as_json: AsJson = False) -> None:
    """Make a client."""
    answer = admin.ask("POST", ("projects", project, "clients"), {"name": name, "roles": role or []})
    if as_json:
        output.document(answer)
    else:
        output.say(f"client {name} of {project} is there; `weir token create {project} {name}` gives it a token")
    _doubt(project, answer)


def change_client(project: ProjectName, name: ClientName,
                  role: Annotated[list[str] | None, typer.Option(
                      help="A role, instead of those that it has; several times; none without it.")] = None,
                  as_json: AsJson = False) -> None:
    """Give a client that was made by the command other roles; in force within a second."""
    answer = admin.ask("PUT", ("projects", project, "clients", name), {"roles": role or []})
    if as_json:
        output.document(answer)
    else:
        output.say(f"client {name} of {project} has {', '.join(answer['roles']) or 'no roles'}")
    _doubt(project, answer)


def _doubt(project: str, client: dict[str, Any]) -> None:
    for role in client.get("undeclared_roles", ()):
        typer.echo(f"note: {project} declares no role {role!r}; no rule can ask for it until `roles` of its "
                   "access.yaml has it", err=True)


def remove_client(project: ProjectName, name: ClientName, as_json: AsJson = False) -> None:
    """Remove a client that was made by the command, and end its tokens; in force within a second."""
    answer = admin.ask("DELETE", ("projects", project, "clients", name))
    if as_json:
        output.document(answer)
    else:
        output.say(f"client {name} of {project}, as the command has made it, is removed")


def list_clients(project: ProjectName, as_json: AsJson = False) -> None:
    """List the clients of a project."""
    output.rows(admin.ask("GET", ("projects", project, "clients")), ("name", "roles", "made_by", "time"),
                as_json=as_json)


def create_token(project: ProjectName, client: ClientName,
                 expires: Annotated[str | None, typer.Option(help="Life time, as in 24h; without it: no end.")] = None,
                 as_json: AsJson = False) -> None:
    """Make a token; its text is shown this once."""
    answer = admin.ask("POST", ("projects", project, "clients", client, "tokens"),
                       {"expires_in_s": _life_s(expires)})
    _show(answer, as_json=as_json)


def rotate_token(project: ProjectName, client: ClientName,
                 overlap: Annotated[str, typer.Option(help="How long the client's other tokens go on.")] = "24h",
                 expires: Annotated[str | None, typer.Option(help="Life time, as in 24h; without it: no end.")] = None,
                 as_json: AsJson = False) -> None:
    """Make a token, and let the client's others end after the overlap."""
    overlap_s = arguments.seconds_or_none(overlap, "--overlap")
    answer = admin.ask("POST", ("projects", project, "clients", client, "tokens", "rotate"),
                       {"expires_in_s": _life_s(expires), "overlap_s": overlap_s})
    _show(answer, as_json=as_json)
    if not as_json:
        output.say(f"The other tokens of {client} end {f'in {overlap}' if overlap_s else 'now'}.")


def _life_s(expires: str | None) -> int | None:
    return None if expires is None else arguments.seconds(expires, "--expires")


def _show(answer: Any, *, as_json: bool) -> None:
    if as_json:
        output.document(answer)
        return
    output.say(f"token            {answer['token']}")
    output.say(f"internal digest  {answer['internal_digest']}")
    output.say(f"id               {answer['id']}")
    output.say("The token is not shown again. The digest is for the header weir-token-digest on the internal topic.")


def list_tokens(project: ProjectName, as_json: AsJson = False) -> None:
    """List the tokens of a project, without their secrets."""
    output.rows(admin.ask("GET", ("projects", project, "tokens")),
                ("id", "client", "created", "expires", "revoked", "used"), as_json=as_json)


def revoke_token(token_id: Annotated[str, typer.Argument(help="Id of the token, from `weir token list`.")],
                 as_json: AsJson = False) -> None:
    """Revoke a token; in force everywhere within a second."""
    answer = admin.ask("POST", ("tokens", token_id, "revoke"), {})
    if as_json:
        output.document(answer)
    else:
        output.say(f"token {token_id} of {answer['client']} is revoked")
