"""Run one of the examples against the local cluster.

In:    an example's name, a running cluster.
Out:   its outside systems running, its project in force, a token, the calls of its README.
Never: an outside system that goes on when the command ends.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.cluster import EXAMPLES, LocalSettings
from services.console.cli import admin, output
from services.console.cli.failure import Failure
from services.console.cli.projects import read_folder
from shared.project.load import load_project

_CALLS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
Name = Annotated[str, typer.Argument(help="Name of a folder below examples/.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(example)


def example(name: Name) -> None:
    """Start an example's outside systems, load its project, say what to try; Ctrl-C ends it."""
    folder = EXAMPLES / name
    stub = folder / "stub.py"
    if not stub.exists():
        known = ", ".join(sorted(path.parent.name for path in EXAMPLES.glob("*/stub.py")))
        raise Failure(f"there is no example {name!r} below {EXAMPLES}; there are {known or 'none'}")
    files = read_folder(folder)
    project = load_project(files).project
    if project is None:
        raise Failure(f"the example has problems; `weir validate {folder}` tells them")
    admin.ask("POST", ("projects", name, "versions"), {"files": files, "note": "the example"})
    token = _token(name, project.clients[0].name)
    with subprocess.Popen([sys.executable, str(stub)]) as outside:
        try:
            url = f"http://127.0.0.1:{LocalSettings().ingress_port}"
            for calls in _CALLS.findall((folder / "README.md").read_text()):
                output.say(calls.replace("$TOKEN", f"$(cat {token})").replace("$WEIR", url).rstrip())
            output.say("Ctrl-C ends the outside systems; the project stays.")
            outside.wait()
        except KeyboardInterrupt:
            output.say("ended")
        finally:
            outside.terminate()


def _token(project: str, client: str) -> Path:
    path = LocalSettings().state_dir / f"{project}-token"
    if not path.exists():
        made = admin.ask("POST", ("projects", project, "clients", client, "tokens"), {})
        path.touch(mode=0o600)
        path.write_text(made["token"])
    return path
