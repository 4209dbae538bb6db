"""Every problem of a project with its file, line and column; no text may raise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.project.load import load_project
from shared.project.model import Project
from tests.support.platform import PROJECT, ROOT

EXAMPLE = ROOT / "examples" / PROJECT
FILES = {path.relative_to(EXAMPLE).as_posix(): path.read_text() for path in EXAMPLE.rglob("*.yaml")}
OPERATIONS, LOOKUP = "operations.yaml", "workflows/get-employee.yaml"


def place(file: str, text: str, before: str = "") -> tuple[int, int]:
    """Line and column of a text in a file of the example."""
    lines = FILES[file].splitlines()
    start = next((number for number, line in enumerate(lines) if before in line), 0)
    for number, line in enumerate(lines[start:], start + 1):
        if text in line:
            return number, line.index(text) + 1
    raise AssertionError(text)


CASES = [
    ("weir.yaml", "title:", "tilte:", "unknown-key", (2, 1)),
    ("weir.yaml", "name: employee-directory", "name: Employee Directory", "shape", (1, 1)),
    ("weir.yaml", "env: WEIR_EXAMPLE_HR_URL", "env: WEIR_CLUSTER_KEY", "shape", place("weir.yaml", "env:")),
    (OPERATIONS, "method: POST", "method: PSOT", "shape", place(OPERATIONS, "method: POST")),
    (OPERATIONS, "timeout: 1s", "timeout: 1", "shape", place(OPERATIONS, "timeout: 1s")),
    (OPERATIONS, "name: payroll\n", "name: get-employee\n", "duplicate", place(OPERATIONS, "name: payroll")),
    (OPERATIONS, "path: /payroll", "path: /info", "duplicate", place(OPERATIONS, "path: /payroll")),
    (OPERATIONS, "workflow: payroll", "workflow: pyaroll", "dangling", place(OPERATIONS, "workflow: payroll")),
    (OPERATIONS, "path: /employees/{id}", "path: /employees/x{id}", "path", place(OPERATIONS, "path: /emp")),
    (OPERATIONS, "path: /employees/{id}", "path: /employees/{nr}", "dangling", place(OPERATIONS, "id: {")),
    (OPERATIONS, "type: integer, min", "type: int, min", "schema", place(OPERATIONS, "type: integer, min")),
    (OPERATIONS, "not_found:\n        status: 404\n", "not_found:\n", "shape", place(OPERATIONS, "not_found:")),
    (LOOKUP, "timeout: 3s", "timeuot: 3s", "unknown-key", place(LOOKUP, "timeout: 3s")),
    (LOOKUP, "steps.lookup.status", "steps.shape.status", "step-order", place(LOOKUP, "if:")),
    (LOOKUP, "steps.lookup.status", "steps.nothing.status", "step-order", place(LOOKUP, "if:")),
    (LOOKUP, "steps.lookup.body.number", "steps.lookup.body.(", "expression", place(LOOKUP, "value:")),
    (LOOKUP, "config.hr_url", "config.url", "dangling", place(LOOKUP, "url:")),
    (LOOKUP, "name: not_found", "name: unheard_of", "dangling", place(LOOKUP, "name: not_found")),
    (LOOKUP, "- id: shape", "- id: lookup", "duplicate", place(LOOKUP, "id: shape")),
    (LOOKUP, "    if: steps.lookup.status = 404\n", "", "unreachable", (14, 5)),
    (LOOKUP, "  - id: answer\n    reply:\n      body: \"{% steps.shape %}\"\n", "", "no-reply",
     place(LOOKUP, "steps:")),
    (LOOKUP, "    http:\n", "    htpt:\n", "shape", place(LOOKUP, "id: lookup")),
    ("access.yaml", "roles: [reader, editor]", "roles: [reader", "yaml", (3, 8)),
    ("access.yaml", "roles: [reader, editor]", "roles: [Reader!]", "shape", (1, 9)),
]


@pytest.mark.parametrize(("file", "good", "bad", "code", "where"), CASES,
                         ids=[f"{code}: {bad.strip()[:30]}" for _, _, bad, code, _ in CASES])
def test_each_mistake_is_told_with_its_place(
        file: str, good: str, bad: str, code: str, where: tuple[int, int]) -> None:
    assert good in FILES[file]
    loaded = load_project({**FILES, file: FILES[file].replace(good, bad, 1)})
    assert loaded.project is None
    found = [(problem.file, problem.code, (problem.line, problem.column)) for problem in loaded.problems]
    assert (file, code, where) in found


def test_all_mistakes_are_told_at_once() -> None:
    broken = {**FILES, OPERATIONS: FILES[OPERATIONS].replace("timeout: 5s", "timeout: 5"),
              LOOKUP: FILES[LOOKUP].replace("config.hr_url", "config.url"), "access.yaml": "clients: {"}
    files = {problem.file for problem in load_project(broken).problems}
    assert files == {OPERATIONS, LOOKUP, "access.yaml"}


def test_example_loads_and_its_document_comes_back_as_it_went() -> None:
    loaded = load_project(FILES)
    assert loaded.problems == ()
    assert loaded.project is not None
    document = loaded.project.model_dump(mode="json", by_alias=True)
    assert Project.model_validate(document) == loaded.project


def test_missing_header_is_a_problem_with_a_name() -> None:
    assert [problem.code for problem in load_project({}).problems] == ["file-missing"]


def test_schema_that_points_outside_is_refused() -> None:
    changed = FILES[OPERATIONS].replace("{ type: integer, minimum: 1, maximum: 100, description: \"At most so many\" }",
                                        "{ $ref: \"http://127.0.0.1:1/schema.json\" }")
    assert any("may refer to its own parts" in problem.message
               for problem in load_project({**FILES, OPERATIONS: changed}).problems)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_no_change_to_a_file_raises(file: str, data: st.DataObject) -> None:
    text = FILES[file]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    noise = data.draw(st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
        ["{", "[", "&a *a", "!!python/object:x", "? ", "- - -", "<<: *e", "0x", ".inf", "2001-01-01", "{% (", "\t"]))
    load_project({**FILES, file: text[:start] + noise + text[end:]})


@pytest.mark.parametrize("text", ["[" * 2000, "a: " * 500, "x: &a [*a]", "- " * 3000, "\0", "%YAML 3.0\n---\n"],
                         ids=["deep list", "deep map", "a loop", "deep dashes", "nul", "a later YAML"])
def test_hostile_yaml_is_a_problem_and_nothing_worse(text: str) -> None:
    for file in ("weir.yaml", OPERATIONS, LOOKUP):
        assert load_project({**FILES, file: text}).problems
