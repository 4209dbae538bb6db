"""A package's step, found by its entry point: validated, described, run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.platform import ROOT

EXAMPLE = ROOT / "examples/connector-csv"
SCRIPT = """
import asyncio, json, sys
from shared.project.load import load_project
from shared.project.schema import project_schema
from tests.unit.services.executor.test_run import perform
told = []
for steps in json.loads(sys.argv[1]):
    files = {"weir.yaml": "name: p", "workflows/w.yaml": json.dumps({"steps": steps}),
             "operations.yaml": "operations: [{ name: o, method: POST, path: /, workflow: w }]"}
    found = load_project(files)
    out = {"problems": [str(problem) for problem in found.problems],
           "described": "csv" in project_schema()["$defs"]["Step"]["properties"]}
    if found.project is not None:
        made, _ = asyncio.run(perform(steps, trigger={"body": "a;b\\n1;x\\n2;y"}))
        out |= {"body": getattr(made, "body", b"").decode(), "error": getattr(made, "members", None)}
    told.append(out)
print(json.dumps(told))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package as an installer leaves it, beside a broken one."""
    (tmp_path / "weir_csv.py").write_text((EXAMPLE / "weir_csv.py").read_text())
    points = re.search(r"\[project\.entry-points.*\]\n(.*)\n", (EXAMPLE / "pyproject.toml").read_text())
    assert points is not None
    for name, lines in (("weir_csv", points[1].replace('"', "")),
                        ("broken", "broken = nowhere:Nothing\nodd = json:JSONDecoder")):
        info = tmp_path / f"{name}-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        (info / "entry_points.txt").write_text(f"[weir.connectors]\n{lines}\n")
    return tmp_path


def run(installed: Path, *workflows: list[dict[str, Any]]) -> Any:
    """What comes of each, in one process that finds the package."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(workflows)], cwd=ROOT, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": f"{installed}:{ROOT}"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


ANSWER = {"id": "answer", "reply": {"body": "{% steps.rows %}"}}


def test_step_of_a_package_runs_like_any_other(installed: Path) -> None:
    [found] = run(installed, [{"id": "rows", "csv": {"text": "{% trigger.body %}", "delimiter": ";"}}, ANSWER])
    assert found["described"]
    assert json.loads(found["body"]) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


def test_its_settings_are_checked_and_its_errors_have_a_kind(installed: Path) -> None:
    bad, none = {"id": "rows", "csv": {"text": "a,b\n1"}}, {"id": "rows", "csv": {"text": "{% null %}"}}
    refused, failed, caught, empty = run(
        installed, [{"id": "rows", "csv": {"text": "", "delimiter": ";;"}}, ANSWER], [bad, ANSWER],
        [{**bad, "fallback": "{% errors.rows.kind %}"}, ANSWER], [none, ANSWER])
    assert "delimiter" in refused["problems"][0]
    assert failed["error"]["error"] == empty["error"]["error"] == "csv-malformed"
    assert caught["body"] == '"csv-malformed"'
