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


@pytest.mark.parametrize(("wrong", "right"), [
    ("access.yml", "access.yaml"), ("Operations.yaml", "operations.yaml"), ("workflows/w.yml", "workflows/w.yaml"),
    ("weir.YML", "weir.yaml")])
def test_file_that_would_be_passed_over_for_its_name_is_told(wrong: str, right: str, tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    for other in ("README.md", "compose.yml", "workflows/.w.yml", wrong):
        (tmp_path / other).write_text("")
    with pytest.raises(Failure, match=f"{wrong} would not be read: call it {right}"):
        read_folder(tmp_path)
    (tmp_path / right).write_text("name: p\n")
    assert read_folder(tmp_path) == {right: "name: p\n"}


def test_workflows_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "w.yaml").write_text("steps: []\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "workflows").symlink_to(tmp_path / "shared")
    assert read_folder(tmp_path / "project") == {"workflows/w.yaml": "steps: []\n"}


def test_workflows_that_are_closed_to_us_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(folder: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(folder))
    (tmp_path / "workflows").mkdir()
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([]) if folder == tmp_path else closed(folder))
    with pytest.raises(Failure, match=r"cannot be read: .*Permission denied: .*workflows"):
        read_folder(tmp_path)
