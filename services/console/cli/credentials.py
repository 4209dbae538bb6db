"""Commands on credentials: set, list, remove.

In:    names, members; a secret from standard input.
Out:   credentials, without their secrets.
Never: a secret as an argument: arguments are read by everybody on the machine.
"""

import sys
from typing import Annotated

import typer

from services.console.cli import admin, output
from services.console.cli.failure import Failure
from services.console.cli.output import AsJson

ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]
CredentialName = Annotated[str, typer.Argument(help="Name of the credential, as http steps say it.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Credentials for outside systems.")
    group.command(name="set")(set_credential)
    group.command(name="list")(list_credentials)
    group.command(name="remove")(remove_credential)
    app.add_typer(group, name="credential")


def set_credential(project: ProjectName, name: CredentialName,
                   kind: Annotated[str, typer.Option(help="bearer, basic, api_key, oauth2 or hmac.")],
                   member: Annotated[list[str] | None, typer.Option(
                       "--with", help="What the kind has beside its secret, as in username=ada.")] = None,
                   as_json: AsJson = False) -> None:
    """Set a credential; its secret is read from standard input and never shown again."""
    members = {}
    for text in member or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise Failure(f"--with {text!r}: expected a name, `=`, and a value, as in username=ada")
        members[key] = value
    secret = (typer.prompt("Secret", hide_input=True) if sys.stdin.isatty() else _piped()).strip()
    if not secret:
        raise Failure("the secret is empty; write it into standard input: weir credential set ... < file")
    if len(secret.splitlines()) > 1:
        # the first one alone could only fail
        raise Failure("standard input has several lines; a secret is one line")
    answer = admin.ask("POST", ("projects", project, "credentials"),
                       {"name": name, "kind": kind, "members": members, "secret": secret})
    if as_json:
        output.document(answer)
    else:
        output.say(f"credential {name} of {project} is set; http steps use it by `credential: {name}`")


def _piped() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Failure("what comes from standard input is no text in UTF-8; a secret is one line of text") from None


def list_credentials(project: ProjectName, as_json: AsJson = False) -> None:
    """List the credentials of a project."""
    output.rows(admin.ask("GET", ("projects", project, "credentials")), ("name", "kind", "time"), as_json=as_json)


def remove_credential(project: ProjectName, name: CredentialName) -> None:
    """Remove a credential."""
    admin.ask("POST", ("projects", project, "credentials", name, "remove"), {})
    output.say(f"credential {name} of {project} is removed")
