"""What commands ask control for, and what they say when nothing useful comes back."""

import http.server
import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import typer
from typer.testing import CliRunner

from services.console.cli import admin, stream
from services.console.cli.application import application
from services.console.cli.failure import Failure

NAME = "a b/é?x=1#y%"
# these ask no admin API for a name, but start, stop and watch processes or read a folder
_ELSEWHERE = frozenset({"up", "scale", "down", "status", "doctor", "example", "top", "tail", "sink", "validate",
                        "apply", "diff", "schema", "asyncapi", "projects"})
# what it takes is a number
_NUMBERED = frozenset({"dlq show", "dlq replay", "dlq drop"})
_MORE = {"signals show": ("--client", NAME), "signals block": ("--client", NAME), "signals pin": ("--client", NAME),
         "signals lift": ("--client", NAME), "executions list": ("--status", NAME), "dlq list": ("--error", NAME),
         "dlq replay": ("1",), "dlq drop": ("1",), "traces": ("--operation", NAME)}


def leaves(command: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from leaves(one, (*before, name))
    else:
        yield " ".join(before), command


COMMANDS = {name: command for name, command in leaves(typer.main.get_command(application()))
            if name.split()[0] not in _ELSEWHERE}


def words(name: str, command: Any, folder: Path) -> Sequence[str]:
    """A call of a command that says NAME wherever a text is wanted."""
    said = [*name.split(), *_MORE.get(name, ())]
    for one in command.params:
        kind = one.type_descriptor.annotation
        value = {int: "1", str: "bearer" if one.name == "kind" else NAME}.get(
            kind, str(folder / ("new" if name == "export" else "")))
        if one.param_type_name == "argument" and one.name not in ("letters", "level"):
            said.append(value)
        elif one.param_type_name == "option" and one.required:
            said += [one.opts[0], value]
    return said


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_is_said_for_a_name_goes_as_one_part(name: str, monkeypatch: pytest.MonkeyPatch,
                                                      tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []

    def send(method: str, url: str, token: str | None, body: Any = None, timeout_s: float = 0) -> Any:
        asked.append((url, body))
        raise Failure(f"{method} {token} {timeout_s}")
    monkeypatch.setattr(admin, "send", send)
    monkeypatch.setenv("WEIR_CONTROL_ADMIN_TOKEN", "t")
    (tmp_path / "weir.yaml").write_text("name: p\n")
    result = CliRunner().invoke(application(), words(name, COMMANDS[name], tmp_path), input="secret\n")
    assert len(asked) == 1, (result.output, result.exception)
    url, body = asked[0]
    assert re.fullmatch(r"[!-~]+", url)
    assert (url.count("#"), url.count("?")) == (0, int("?" in url))
    assert name in _NUMBERED or quote(NAME, safe="") in url or quote_plus(NAME) in url, (url, body)


def test_allowance_is_raised_by_a_number_below_zero_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(admin, "ask", lambda *told, **_: asked.append(told[2]) or [])
    for said in (["-5"], ["--client", "c", "-5"], ["-5", "--client", "c"]):
        assert CliRunner().invoke(application(), ["allowance", "raise", "p", *said]).exit_code == 0
    assert [(body["by"], body["client"]) for body in asked] == [(-5, None), (-5, "c"), (-5, "c")]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_means_another_place_is_no_name(name: str) -> None:
    with pytest.raises(Failure, match="is no name"):
        admin.ask("GET", ("projects", name, "versions"))


def test_bytes_of_the_terminal_that_are_no_text_go_as_they_are() -> None:
    assert admin.path(("projects", "\udcff")) == "projects/%FF"


@pytest.mark.parametrize(("answer", "says"), [
    (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is not control"), (b"nonsense\r\n\r\n", "nobody answers"),
    (b"HTTP/1.1 404 X\r\n\r\n" + json.dumps({"detail": "nothing"}).encode(), "^nothing"),
    # what a part says of its failure does not say which part it is
    (b"HTTP/1.1 503 X\r\n\r\n" + json.dumps({"title": "The store is not available", "detail": "HSET: gone"}).encode(),
     "^The store is not available: HSET: gone$")])
def test_answer_that_is_none_of_control_is_a_sentence(answer: bytes, says: str,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        monkeypatch.setenv("WEIR_CONTROL_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WEIR_CONTROL_ADMIN_TOKEN", "t")
        with pytest.raises(Failure, match=says):
            admin.ask("GET", ("projects",))
    monkeypatch.setenv("WEIR_CONTROL_URL", "http://a b")
    with pytest.raises(Failure, match="nobody answers"):
        admin.ask("GET", ("projects",))


@pytest.mark.parametrize("token", ["pin 4711", "pin\n4711", "pin-é4711"])
def test_admin_token_that_is_none_is_told_without_it(token: str, monkeypatch: pytest.MonkeyPatch,
                                                     tmp_path: Path) -> None:
    monkeypatch.setenv("WEIR_CONTROL_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WEIR_STATE_DIR", str(tmp_path))
    (tmp_path / "admin-token").write_bytes(b"\xff")
    for configured, place in ((token, "WEIR_CONTROL_ADMIN_TOKEN"), ("\n", str(tmp_path / "admin-token"))):
        monkeypatch.setenv("WEIR_CONTROL_ADMIN_TOKEN", configured)
        with pytest.raises(Failure, match="no admin token") as failure:
            admin.ask("GET", ("projects",))
        assert (place in str(failure.value), "4711" in str(failure.value)) == (True, False)


def test_end_of_the_line_of_a_file_is_none_of_the_admin_token(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str | None] = []

    def send(*asked: Any) -> Any:
        sent.append(asked[2])
        return 200, {}, b"[]"
    monkeypatch.setattr(admin, "send", send)
    monkeypatch.setenv("WEIR_CONTROL_ADMIN_TOKEN", "t\n")
    admin.ask("GET", ("projects",))
    assert sent == ["t"]


def test_settings_that_are_empty_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEIR_CONTROL_URL", "WEIR_CONTROL_PORT", "WEIR_INGRESS_URL", "WEIR_INGRESS_PORT",
                 "WEIR_KAFKA_BOOTSTRAP", "WEIR_KAFKA_PORT"):
        monkeypatch.setenv(name, "")
    assert stream.bootstrap() == "127.0.0.1:9092"
    assert (admin.control_url(), admin.ingress_url()) == ("http://127.0.0.1:8081", "http://127.0.0.1:8080")
