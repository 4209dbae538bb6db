"""Calling an operation from the command line."""

import socket
from pathlib import Path
from typing import Any

import pytest
import typer

from services.console.cli import admin, observe
from services.console.cli.failure import Failure

OPERATION: dict[str, Any] = {"name": "read", "method": "GET", "path": "/notes/{id}"}
TOKEN = "weir_geheim"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    def send(*what: Any) -> Any:
        asked.append(what)
        return 204, {}, b""
    monkeypatch.setattr(admin, "send", send)
    monkeypatch.setattr(admin, "ask", lambda *_: {"document": {"operations": [OPERATION]}})
    return asked


@pytest.mark.parametrize(("said", "patience_s"), [
    ({}, 35), ({"timeout": "120000ms"}, 125), ({"mode": "events", "timeout": "1s", "run_timeout": "10m"}, 605)])
def test_answer_is_waited_for_as_long_as_the_operation_may_take(
        said: dict[str, Any], patience_s: float, sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "ask", lambda *_: {"document": {"operations": [OPERATION | said]}})
    observe.call("p", "read", ["id=a/b"], token=TOKEN)
    [(_, url, token, _, waited_s, _)] = sent
    assert (url.endswith("/p/notes/a%2Fb"), token, waited_s) == (True, TOKEN, patience_s)


def test_headers_are_sent_and_what_is_none_is_told_by_its_name_alone(sent: list[tuple[Any, ...]]) -> None:
    observe.call("p", "read", ["id=1"], header=["Idempotency-Key: a1", "X-Tag:b", "x-tag: ü"])
    assert sent[0][5] == {"idempotency-key": "a1", "x-tag": "b, ü"}
    for wrong in ("X Tag: b", "X-Tag: b\nX-Other: c"):
        with pytest.raises(typer.BadParameter, match=r"what is given for 'X.Tag' is no header that can be sent$"):
            observe.call("p", "read", ["id=1"], header=[wrong])
    with pytest.raises(typer.BadParameter, match="'X-Tag' is not name:value"):
        observe.call("p", "read", ["id=1"], header=["X-Tag"])


def test_parameter_of_the_path_that_is_not_said_is_told(sent: list[tuple[Any, ...]]) -> None:
    with pytest.raises(Failure, match=r"needs --param id="):
        observe.call("p", "read", ["ID=1"], token=TOKEN)
    assert sent == []


def test_end_of_a_line_is_none_of_the_token_and_no_other_one_is_told(sent: list[tuple[Any, ...]]) -> None:
    observe.call("p", "read", ["id=1"], token=f"{TOKEN}\r\n")
    assert sent[0][2] == TOKEN
    with pytest.raises(Failure, match="WEIR_TOKEN, is no token") as failure:
        observe.call("p", "read", ["id=1"], token=f"{TOKEN}\nx")
    assert TOKEN not in str(failure.value)


@pytest.mark.parametrize(("project", "file", "token"), [
    ("employee-directory", "demo-token", "d"), ("inventory", "inventory-token", "i"), ("mine", "demo-token", None)])
def test_token_that_is_not_given_is_that_of_the_example_and_nothing_elsewhere(
        project: str, file: str, token: str | None, sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path) -> None:
    monkeypatch.setenv("WEIR_STATE_DIR", str(tmp_path))
    (tmp_path / file).write_text(f"{token}\n")
    observe.call(project, "read", ["id=1"], token=None)
    assert sent[0][2] == token


def test_what_answers_too_late_is_not_said_to_be_away() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(Failure, match=rf"no answer from {url} within 0\.1 s; what was asked for may be under way"):
            admin.send("GET", f"{url}/v1/projects", None, timeout_s=0.1)


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:8081", "http://[::1", "http://127.0.0.1:x", "ftp://127.0.0.1"])
def test_address_that_is_none_is_told_by_its_setting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_CONTROL_URL", url)
    with pytest.raises(Failure, match="is no address to call; WEIR_CONTROL_URL"):
        admin.control_url()


def test_call_that_is_refused_ends_with_a_code(sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "send", lambda *_: (404, {}, b"{}"))
    with pytest.raises(typer.Exit):
        observe.call("p", "read", ["id=1"], token=TOKEN)
    assert sent == []


def test_parameter_that_is_no_text_goes_as_its_bytes(sent: list[tuple[Any, ...]]) -> None:
    observe.call("p", "read", ["id=\udcff", "q=\udcfe"], token=TOKEN)
    assert sent[0][1].endswith("/p/notes/%FF?q=%FE")


def test_body_that_is_nested_too_deep_is_told(sent: list[tuple[Any, ...]]) -> None:
    with pytest.raises(Failure, match="--body is not JSON: maximum recursion depth"):
        observe.call("p", "read", ["id=1"], body="[" * 100_000, token=TOKEN)
    assert sent == []
