"""Documents agree with the code, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import tests.bench.__main__ as bench
from shared.names import spans, topics
from shared.project.load import load_project
from tests.bench import rows, specials
from tests.support import metrics_manual, settings_manual
from tests.support.platform import PROJECT, ROOT

ELSEWHERE = {".venv", ".weir", ".pytest_cache"}
PAGES = [path for path in ROOT.rglob("*.md") if not ELSEWHERE & set(path.relative_to(ROOT).parts)]


def test_manual_of_settings_is_what_the_classes_say() -> None:
    assert (ROOT / "docs/settings.md").read_text().strip() == settings_manual.manual().strip()


def test_each_setting_says_what_it_is() -> None:
    assert [name for settings in settings_manual.CLASSES for name, _, what in settings_manual.rows(settings)
            if not what.endswith(".")] == []


@pytest.mark.parametrize("settings", settings_manual.CLASSES)
def test_default_is_shown_as_it_is_written_in_its_variable(
        settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, default, _ in settings_manual.rows(settings):
        monkeypatch.delenv(name, raising=False)
        if default.startswith("`"):
            monkeypatch.setenv(name, default.strip("`"))
    read = settings()
    for name, field in settings.model_fields.items():
        if not field.is_required() and field.default_factory is None:
            assert getattr(read, name) == field.default, name


def test_page_on_metrics_and_logs_is_what_the_lists_of_names_say() -> None:
    assert (ROOT / "docs/telling.md").read_text() == metrics_manual.manual(), (
        "run: python -m tests.support.metrics_manual > docs/telling.md")


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub names them."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        led = page.parent / target if target else page
        assert led.exists(), target
        if anchor:
            assert anchor in anchors(led), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_pages_name_only_topics_and_variables_that_exist(page: Path) -> None:
    text = page.read_text()
    known = {topic.name for topic in topics.TOPICS}
    named = set(re.findall(r"`(weir\.[a-z.-]+[a-z])`", text)) - {"weir.yaml"}
    assert named <= known | {"weir.connectors", spans.OBSERVED}
    # what stands behind `WEIR_SECRET_` is for owners to choose
    assert set(re.findall(r"WEIR_(?!SECRET_)[A-Z_]*[A-Z]", text)) <= settings_manual.variables() | {
        "WEIR_EXAMPLE_HR_URL", "WEIR_CONFIG"}


@pytest.mark.parametrize(("page", "least"), [("policies", 7), ("abuse", 1)])
def test_every_access_file_of_a_page_is_one_that_validates(page: str, least: int) -> None:
    example = ROOT / "examples" / PROJECT
    files = {path.relative_to(example).as_posix(): path.read_text() for path in example.rglob("*.yaml")}
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / f"docs/{page}.md").read_text(), re.DOTALL)
    assert len(blocks) >= least
    for block in blocks:
        assert load_project({**files, "access.yaml": block}).problems == ()


def test_page_on_benchmarks_tells_every_row_and_special_bench_and_no_other() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    for title, names in (("Rows", rows.ROWS), ("Special benches", [*specials.SPECIALS, *specials.ALONE])):
        section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `([a-z]+)` \|", section, re.MULTILINE) == list(names)


def test_commands_of_the_page_on_benchmarks_are_ones_that_the_bench_understands() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    commands = re.findall(r'^make bench(?: ARGS="(.*)")?(?: |$)', text, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        assert bench.expected_s(bench.parsed(command.split())) < 3900


def test_every_header_file_of_the_page_on_usage_is_one_that_validates() -> None:
    example = ROOT / "examples" / PROJECT
    files = {path.relative_to(example).as_posix(): path.read_text() for path in example.rglob("*.yaml")}
    blocks = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "docs/usage.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        header = files["weir.yaml"] + block.partition("\n")[2]
        assert load_project({**files, "weir.yaml": header}).problems == ()
