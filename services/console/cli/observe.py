"""The command that calls an operation.

In:    a project, an operation, what goes in.
Out:   an answer.
Never: a change.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.failure import Failure
from shared.project.durations import to_ms

# what stands for itself in a path, and what stands for a parameter
_OF_A_PATH = "/%:@!$&'()*+,;=~{}"
_PARAMETER = re.compile(r"\{([^{}]+)\}")
_USUAL_TIMEOUT, _SPARE_S = "30s", 5.0
_DEMO = "employee-directory"
ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(call)


def call(project: ProjectName, operation: Annotated[str, typer.Argument(help="Name of the operation.")],
         param: Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value; path or query.")] = None,
         body: Annotated[str | None, typer.Option(help="JSON, or @file.")] = None,
         header: Annotated[list[str] | None, typer.Option(
             "--header", "-H", help="name: value, as in Idempotency-Key: a1; several times.")] = None,
         token: Annotated[str | None, typer.Option(envvar="WEIR_TOKEN", help="Default: that of an example.")] = None,
         ) -> None:
    """Call an operation over HTTP and print its answer."""
    found = [one for one in admin.ask("GET", ("projects", project))["document"]["operations"]
             if one["name"] == operation]
    if not found:
        raise Failure(f"project {project!r} has no operation {operation!r}")
    params, sent = dict(arguments.pairs(param, "--param")), arguments.headers(header, "--header")
    path = quote(found[0]["path"], safe=_OF_A_PATH)
    for name in list(params):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(params.pop(name), safe="", errors=admin.BYTES))
    missing = _PARAMETER.findall(path)
    if missing:
        raise Failure(f"the path {found[0]['path']} needs {' and '.join(f'--param {name}=...' for name in missing)}")
    query = f"?{urlencode(params, errors=admin.BYTES)}" if params else ""
    status, headers, raw = admin.send(found[0]["method"], f"{admin.ingress_url()}/{project}{path}{query}",
                                      _token(token, project), _body(body), _patience_s(found[0]), sent)
    output.say(f"{status}  X-Request-Id: {headers.get('X-Request-Id', '-')}")
    output.say(raw.decode(errors="replace"))
    if status >= 400:
        raise typer.Exit(1)


def _patience_s(operation: Mapping[str, Any]) -> float:
    """As long as the edge takes to answer, and somewhat more."""
    longest = [to_ms(operation.get(name, _USUAL_TIMEOUT)) for name in ("timeout", "run_timeout")]
    return (max(longest) if operation.get("mode") == "events" else longest[0]) / 1000 + _SPARE_S


def _token(given: str | None, project: str) -> str | None:
    token = (given or "").strip()
    return admin.one_word(token, "--token, or in WEIR_TOKEN,", "token") if token else _kept_token(project)


def _body(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError, RecursionError) as exc:
        raise Failure(f"--body is not JSON: {exc}") from None


def _kept_token(project: str) -> str | None:
    """What the start, or `weir example`, has made for an example. Of another project it would be a wrong one."""
    path = admin.state_dir() / ("demo-token" if project == _DEMO else f"{project}-token")
    return path.read_text().strip() if path.exists() else None
