"""The admin API, as commands see it.

In:    a method, a path, a body.
Out:   the answer's JSON, or a `Failure` that says what control said.
Never: a retry: the person decides.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from services.console.cli.failure import Failure

TIMEOUT_S = 15
# of a path, none of them quoted yet
Parts = tuple[str | int, ...]
# an argument that is no text comes as bytes of the terminal, and goes as them
BYTES = "surrogateescape"


class Refused(Failure):
    """Control has said no to this; something else may go."""


def state_dir() -> Path:
    """Where the local cluster keeps its state."""
    return Path(os.environ.get("WEIR_STATE_DIR", ".weir"))


def control_url() -> str:
    """Where control answers."""
    return _address("WEIR_CONTROL_URL", "WEIR_CONTROL_PORT", "8081")


def ingress_url() -> str:
    """Where the API answers."""
    return _address("WEIR_INGRESS_URL", "WEIR_INGRESS_PORT", "8080")


def _address(variable: str, of_port: str, usual: str) -> str:
    """Raises Failure for what is none."""
    port = os.environ.get(of_port) or usual
    url = (os.environ.get(variable) or f"http://127.0.0.1:{port}").rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Failure(f"{url!r} is no address to call; {variable} is one of http or https, as in "
                      f"http://127.0.0.1:{usual}, and {of_port} a number")
    return url


def ask(method: str, parts: Parts, body: Any = None, timeout_s: float = TIMEOUT_S, *,
        query: Mapping[str, str | int | None] | None = None) -> Any:
    """The answer of the admin API below `/v1`; what is None in a query is left out. Raises Failure."""
    return answer(method, parts, body, timeout_s, query=query)[0]


def answer(method: str, parts: Parts, body: Any = None, timeout_s: float = TIMEOUT_S, *,
           query: Mapping[str, str | int | None] | None = None) -> tuple[Any, dict[str, str]]:
    """What `ask` gives, and its headers."""
    asked = urlencode({name: one for name, one in (query or {}).items() if one is not None}, errors=BYTES)
    url = f"{control_url()}/v1/{path(parts)}{'?' if asked else ''}{asked}"
    status, headers, raw = send(method, url, _token(), body, timeout_s)
    try:
        found = json.loads(raw) if raw else None
    except ValueError:
        raise Failure(f"what answers at {control_url()} is not control ({status}); WEIR_CONTROL_URL or "
                      "WEIR_CONTROL_PORT says where it is") from None
    if status >= 500:
        raise Failure(f"{found['title']}: {explain(found, status)}" if isinstance(found, dict) and found.get("title")
                      else explain(found, status))
    if status >= 400:
        raise Refused(explain(found, status))
    return found, headers


def path(parts: Parts) -> str:
    """Whatever a person writes for a name stays one part of the path. Raises Failure."""
    for one in parts:
        # these mean another place, whoever reads them
        if str(one) in ("", ".", ".."):
            raise Failure(f"{str(one)!r} is no name")
    return "/".join(quote(str(one), safe="", errors=BYTES) for one in parts)


def send(method: str, url: str, token: str | None, body: Any = None, timeout_s: float = TIMEOUT_S,
         more: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """One HTTP call: status, headers, body. Raises Failure when nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    base = url.split("/v1")[0]
    headers = {"Content-Type": "application/json"} if data is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    for name, value in (more or {}).items():
        # as the edge reads it; the library would take it for Latin-1
        request.add_header(name, value.encode())  # type: ignore[arg-type]  # it sends bytes as they are
    # no proxy of the environment stands between this machine and itself
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, dict(exc.headers), exc.read()
    except TimeoutError:
        # whoever does not take the call at all is told as an URLError
        raise Failure(f"no answer from {base} within {timeout_s:g} s; what was asked for may be under way") from None
    except (OSError, ValueError, HTTPException) as exc:
        raise Failure(f"nobody answers at {base} ({getattr(exc, 'reason', exc)}); "
                      "is the cluster up? `weir status` shows it, `weir up` starts it") from None


def explain(answer: Any, status: int) -> str:
    """A problem answer as text, with every error in it."""
    if not isinstance(answer, dict):
        return f"answered {status}"
    lines = [str(answer.get("detail", f"answered {status}"))]
    for error in answer.get("errors", ()):
        place = (f"{error['file']}:{error['line']}:{error['column']}" if "file" in error
                 else f"{error.get('in', '')} {error.get('pointer', '')}".strip())
        lines.append(f"  {place}: {error.get('message', '')}")
    return "\n".join(lines)


def _token() -> str:
    """Blanks around it, as the end of the line of a file, are none of it. Raises Failure, which does not tell it."""
    token, place = os.environ.get("WEIR_CONTROL_ADMIN_TOKEN", "").strip(), "WEIR_CONTROL_ADMIN_TOKEN"
    if not token:
        path = state_dir() / "admin-token"
        place = str(path)
        try:
            token = path.read_bytes().decode(errors="replace").strip()
        except OSError as exc:
            raise Failure(f"no admin token at {path} ({exc.strerror}); start the cluster with `weir up`, or set "
                          "WEIR_STATE_DIR or WEIR_CONTROL_ADMIN_TOKEN") from None
    if not token:
        raise Failure(f"{place} is empty; no admin token stands there")
    return one_word(token, place, "admin token")


def one_word(token: str, place: str, what: str) -> str:
    """A token that can be sent. Raises Failure, which does not tell it."""
    if not all("!" <= one <= "~" for one in token):
        raise Failure(f"what stands in {place} is no {what}: it is one word of letters, digits and signs of ASCII")
    return token
