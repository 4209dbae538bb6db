"""What the commands on access ask control for, and how they tell the answer."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from services.console.cli import admin, explain, output


class Control:
    """Answers always the same; `asked`: the last body."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, {}

    def ask(self, _method: str, _parts: admin.Parts, body: Any = None, _timeout_s: float = 0) -> Any:
        self.asked = body
        return self.answer


def told(monkeypatch: pytest.MonkeyPatch, control: Control, *words: str) -> str:
    """What a command prints."""
    app = typer.Typer()
    explain.register(app)
    printed: list[str] = []
    monkeypatch.setattr(admin, "ask", control.ask)
    monkeypatch.setattr(output, "say", printed.append)
    monkeypatch.setattr(output, "rows", lambda rows, columns, as_json: printed.append(
        "\n".join(str([row[column] for column in columns]) for row in rows)))
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return "\n".join(printed) or result.output


def replayed(**more: Any) -> Control:
    return Control({"requests": 3, "admitted_before": 1, "admitted_after": 1, "changes": [], "undecidable": [],
                    "cut": False, **more})


def test_replay_lists_what_could_not_be_decided_and_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ("replay", "--project", "p", "--draft", str(tmp_path))
    (tmp_path / "weir.yaml").write_text("name: p\n")
    undecidable = [{"operation": "o", "why": "the secret TILL is not set", "requests": 2, "samples": ["r"]}]
    text = told(monkeypatch, replayed(undecidable=undecidable), *words)
    assert "2 of them cannot be decided: control has to be given the keys" in text
    assert "how long calls ran, which a `concurrent` limit goes by, it does not know" in text
    assert "['o', 'the secret TILL is not set', 2, ['r']]" in text
    assert "the draft changes nothing for the others" in text
    assert "the draft changes nothing for them" in told(monkeypatch, replayed(), *words)
    assert json.loads(told(monkeypatch, replayed(undecidable=undecidable), *words, "--json"))[
        "undecidable"] == undecidable


EXPLAINED = {"checks": [], "notes": ["n"], "observed": [], "decision": {"status": 200, "code": "ok", "detail": "in"}}


@pytest.mark.parametrize(("words", "asked"), [
    ((), {"client": None, "roles": None, "claims": {}}),
    (("--client", "shop", "--role", "editor", "--role", "reader"), {"client": "shop", "roles": ["editor", "reader"]}),
    (("--claim", "azp=shop", "--claim", 'realm_access={"roles": ["editor"]}'),
     {"roles": None, "claims": {"azp": "shop", "realm_access": {"roles": ["editor"]}}})])
def test_explain_asks_about_whoever_is_described(
        monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], asked: dict[str, Any]) -> None:
    control = Control(EXPLAINED)
    text = told(monkeypatch, control, "access", "explain", "--project", "p", "--operation", "o", *words)
    assert {key: control.asked[key] for key in asked} == asked
    assert text.endswith("note: n\n=> 200 ok: in")


def test_explain_lists_every_misfit(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"status": 400, "code": "input-invalid", "detail": "`errors` lists each", "headers": {},
               "errors": [{"in": "query", "pointer": "/limit", "message": "0 is less than the minimum of 1"}]}
    text = told(monkeypatch, Control({**EXPLAINED, "decision": refused}), "access", "explain", "--project", "p",
                "--operation", "o")
    assert text.endswith("=> 400 input-invalid: `errors` lists each\n  query /limit: 0 is less than the minimum of 1")


def test_headers_and_body_are_those_that_the_edge_would_see(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    control, file = Control(EXPLAINED), tmp_path / "body.json"
    file.write_bytes('{\r\n"a": "\u00e9"}\r\n'.encode())
    told(monkeypatch, control, "access", "explain", "--project", "p", "--operation", "o", "--body", f"@{file}",
         "--header", "x-role: guest", "--header", "x-b: c", "--header", "x-role: admin")
    assert control.asked["headers"] == {"x-role": "guest, admin", "x-b": "c"}
    assert control.asked["body"].encode() == file.read_bytes()


def test_matrix_says_who_a_row_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = {"operation": "o", "may": "yes", "why": "", "limits": [], "issuer": ""}
    control = Control([{**cell, "client": ""}, {**cell, "client": "c"},
                       {**cell, "client": "*", "issuer": "https://id.example"}])
    text = told(monkeypatch, control, "access", "matrix", "--project", "p")
    assert [line.split("'")[3] for line in text.splitlines()] == ["(anybody)", "c", "(JWT of https://id.example)"]
