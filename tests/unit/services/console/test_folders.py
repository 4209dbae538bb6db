"""A folder that cannot be read or written is a sentence."""

from pathlib import Path
from typing import Any

import pytest

from services.console.cli import admin, documents
from services.console.cli.failure import Failure
from services.console.cli.projects import export, read_folder

LONG = "a" * 300


def test_folder_that_can_be_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def ask(_: str, parts: admin.Parts) -> dict[str, Any]:
        asked.append(parts)
        return {"files": {"weir.yaml": "name: p\n", f"workflows/{LONG}.yaml": ""}}
    monkeypatch.setattr(admin, "ask", ask)
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match=r"cannot be read: .*too long"):
        read_folder(tmp_path / LONG)
    for folder in (tmp_path / LONG, tmp_path / "file" / "below", tmp_path / "new"):
        with pytest.raises(Failure, match="cannot be written: "):
            export("p", folder)
    documents.openapi(LONG)
    assert asked[-1] == ("projects", LONG, "openapi.json")
