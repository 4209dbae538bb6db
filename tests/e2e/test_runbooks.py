"""What the runbooks say to type works as it stands, but for the addresses of the cluster under test."""

import os
import re
import shlex
import subprocess

import pytest

from tests.support.platform import ROOT, Platform
from tests.support.snippets import snippets
from tests.support.warm_home import command

# many pages begin with the same look
LINES = sorted({line for page in (ROOT / "docs/runbooks").glob("*.md") for one in snippets(page)
                for line in one.script.splitlines()})
PORTS = {9100: "policy-0", 9120: "executor-0", 9140: "analytics-0"}


@pytest.mark.parametrize("line", LINES)
def test_line_of_a_runbook_works(platform: Platform, line: str) -> None:
    for port, name in PORTS.items():
        line = line.replace(f"http://127.0.0.1:{port}/", platform.processes()[name].ready_url.replace("-/ready", ""))
    for documented, actual in (
            ("http://127.0.0.1:8080", platform.ingress), (".weir/", f"{platform.state_dir}/"),
            (".venv/bin/weir", shlex.join(command()))):
        line = line.replace(documented, actual)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=ROOT, env={**os.environ, **platform.env},
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout or "|| true" in line


def test_pages_name_only_metrics_and_commands_that_there_are() -> None:
    from services.console.cli.application import application
    from shared.names import metrics as M
    text = "\n".join(page.read_text() for page in (ROOT / "docs/runbooks").glob("*.md"))
    known = {family.name for family in M.FAMILIES}
    for name in set(re.findall(r"\bweir_[a-z_]+[a-z]", text)):
        assert any(one == name or re.fullmatch(rf"{one}_(total|sum|count|bucket)", name) or one.startswith(name)
                   for one in known), name
    app = application()
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"\bweir ([a-z-]+)", text)) <= {name.replace("_", "-") for name in commands if name}
