"""`weir validate` says where each mistake stands, and ends with 1."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.platform import ROOT
from tests.support.warm_home import command

OPERATIONS = "operations:\n  - {name: get-a, method: GET, path: /a, workflow: w}\n"
WORKFLOW = "steps:\n  - id: answer\n    reply: {body: 1}\n"
BAD = """policies:
  - name: guard
    action: reject
    rules:
      - when: 'method.matches("(")'
      - header: {name: cookie, exists: true}
"""
GOOD = BAD.replace('"("', '"^P"').replace("cookie", "x-tenant")


def validate(folder: Path, access: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    for name, text in (("weir.yaml", "name: p\n"), ("operations.yaml", OPERATIONS), ("access.yaml", access),
                       ("workflows/w.yaml", WORKFLOW)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    # the environment tells how a Python starts
    weir = (sys.executable, "-m", "services.console.cli.main") if env else command()
    return subprocess.run([*weir, "validate", str(folder), *options],
                          cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env})


def test_mistakes_of_a_policy_are_printed_with_file_line_and_column(tmp_path: Path) -> None:
    done = validate(tmp_path, BAD)
    assert (done.returncode, done.stderr) == (1, "")
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/access.yaml:5:9: `matches` cannot take \"(\"")
    assert second.startswith(f"{tmp_path}/access.yaml:6:18: no rule, limit or workflow ever sees the header cookie")
    assert (first.endswith("[rule]"), second.endswith("[unseen]")) == (True, True)


def test_mistakes_are_a_document_with_the_same_places(tmp_path: Path) -> None:
    done = validate(tmp_path, BAD, "--json")
    assert done.returncode == 1
    assert [(one["file"], one["line"], one["column"], one["code"]) for one in json.loads(done.stdout)] == [
        ("access.yaml", 5, 9, "rule"), ("access.yaml", 6, 18, "unseen")]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_project_without_mistakes_ends_with_zero(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = validate(tmp_path, GOOD, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ("[]" if options else "p: 1 operations, 1 workflows, no problems")


def test_files_are_utf_8_whatever_the_language_of_the_machine(tmp_path: Path) -> None:
    done = validate(tmp_path, f"# für alle\n{GOOD}", LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, "")


def test_file_that_is_no_text_is_named_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows/other.yaml").write_bytes("steps:\n  - ä ".encode() + b"\xff\n")
    done = validate(tmp_path, GOOD)
    assert done.returncode == 1
    assert f"{tmp_path}/workflows/other.yaml:2:7: the byte 0xff stands here" in done.stderr


def test_hidden_file_of_an_editor_is_no_workflow(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    # a lock of Emacs leads to nothing
    (tmp_path / "workflows/.#w.yaml").symlink_to("ada@host.1234:1")
    (tmp_path / "workflows/.w.yaml").write_text("steps: [")
    done = validate(tmp_path, GOOD)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("made", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")],
                         ids=["pipe", "folder", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, made: Callable[[Path], None]) -> None:
    (tmp_path / "workflows").mkdir()
    made(tmp_path / "workflows/other.yaml")
    done = validate(tmp_path, GOOD)
    assert done.returncode == 1
    assert f"{tmp_path}/workflows/other.yaml is no file but a folder, a pipe or a device" in done.stderr
