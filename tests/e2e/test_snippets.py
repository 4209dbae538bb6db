"""What the pages say to type works as it stands, but for the addresses of the cluster under test."""

import os
import shlex
import shutil
import subprocess

import pytest

from tests.support.platform import ROOT, Platform
from tests.support.snippets import Snippet, snippets
from tests.support.warm_home import command

PAGES = ("README.md", "docs/policies.md", "docs/workflows.md", "docs/usage.md", "docs/abuse.md", "docs/operations.md")
SNIPPETS = [snippet for page in PAGES for snippet in snippets(ROOT / page)]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[one.script.split("\n")[0][:40] for one in SNIPPETS])
def test_snippet_of_a_page_works(platform: Platform, snippet: Snippet) -> None:
    if snippet.needs and not shutil.which(snippet.needs):
        pytest.skip(f"{snippet.needs} is not installed; CI installs it")
    script = snippet.script
    for documented, actual in (
            ("http://127.0.0.1:8080", platform.ingress), ("127.0.0.1:9092", platform.bootstrap),
            (".weir/", f"{platform.state_dir}/"), (".venv/bin/weir", shlex.join(command()))):
        script = script.replace(documented, actual)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env={**os.environ, **platform.env},
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "weir:" not in done.stderr


def test_readme_has_snippets_to_run() -> None:
    assert len(SNIPPETS) >= 4
