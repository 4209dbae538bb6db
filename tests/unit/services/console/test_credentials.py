"""A secret comes from standard input, as one line."""

from typing import Any

import pytest
from typer.testing import CliRunner

from services.console.cli import admin
from services.console.cli.application import application
from services.console.cli.failure import Failure


@pytest.mark.parametrize(("given", "taken"), [
    (b"s3cret\n", "s3cret"), (b" s3cret\r\n\n", "s3cret"), (b"", "empty"), (b"pin-4711\nmore\n", "several lines"),
    (b"pin-4711\xff\n", "no text in UTF-8")])
def test_secret_is_one_line_of_text(given: bytes, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(admin, "ask", lambda *asked: sent.append(asked[2]))
    done = CliRunner().invoke(application(["credential"]), ["credential", "set", "p", "crm", "--kind", "bearer"],
                              input=given)
    if done.exception is None:
        assert [one["secret"] for one in sent] == [taken]
    else:
        assert isinstance(done.exception, Failure)
        assert taken in str(done.exception)
        assert ("4711" in str(done.exception), sent) == (False, [])
