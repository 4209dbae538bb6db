"""Every problem of a project with its file, line and column; no text may raise."""

import io
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from shared.project.cost import cost_of
from shared.project.load import Loaded, load_project
from shared.project.model import Project
from tests.support.platform import PROJECT, ROOT

EXAMPLE = ROOT / "examples" / PROJECT
FILES = {path.relative_to(EXAMPLE).as_posix(): path.read_text() for path in EXAMPLE.rglob("*.yaml")}
CALLS = {
    "weir.yaml": "name: p\nconfig: { outside: { default: x } }\n",
    "operations.yaml": "operations:\n  - { name: o, method: POST, path: '/{id}', workflow: w, "
                       "replies: { success: { body: { type: object } }, gone: { status: 410 } } }\n",
    "workflows/w.yaml": "steps:\n  - { id: c, call: { workflow: a, input: { n: 1, day: '2026-01-31' } } }\n"
                        "  - { id: d, call: { workflow: a, input: { n: '{% config.outside %}' }, wait: false } }\n"
                        "  - { id: t, retry: { on: [503] }, fallback: 0, transform: { value: '{% steps.c.sum %}' } }\n"
                        "  - { id: r, reply: { body: '{% steps.t %}' } }\n",
    "workflows/a.yaml": "input: { type: object, required: [n], properties: { n: {}, day: {} }, "
                        "additionalProperties: false }\n"
                        "output: { type: object, properties: { sum: {} }, additionalProperties: false }\n"
                        "steps:\n  - { id: f, fail: { message: x }, catch: [{ id: s, stop: }] }\n"
                        "  - { id: r, reply: { body: { sum: 1 } } }\n"}
PROJECTS = [CALLS, *({path.relative_to(example).as_posix(): path.read_text() for path in example.rglob("*.yaml")}
                     for example in sorted((ROOT / "examples").iterdir()) if (example / "weir.yaml").exists())]
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
    # as other routers write parameters; /payroll:close is a path like any other
    (OPERATIONS, "path: /payroll", "path: /payroll/:id", "path", place(OPERATIONS, "path: /payroll")),
    (OPERATIONS, "path: /payroll", "path: /payroll/*", "path", place(OPERATIONS, "path: /payroll")),
    (OPERATIONS, "path: /payroll", "path: payroll", "shape", place(OPERATIONS, "path: /payroll")),
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


def loaded_and_written(files: dict[str, str]) -> Loaded:
    """Loads; what is accepted can be written as a version, comes back the same, and has a cost."""
    loaded = load_project(files)
    for problem in loaded.problems:
        assert (problem.line, problem.column) >= (1, 1)
    if loaded.project is not None:
        document = orjson.loads(orjson.dumps(loaded.project.to_document()))
        assert Project.model_validate(document) == loaded.project
        for operation in loaded.project.operations:
            cost_of(loaded.project, operation.workflow)
    return loaded


NOISE = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["{", "[", "&a *a", "!!python/object:x", "? ", "- - -", "<<: *e", "0x", ".inf", "2001-01-01", "{% (", "\t",
     "!!binary /w==", "!!set {a}", "9" * 20, "0x" + "f" * 5000, "{1: a}", "{null: a}", "~", "{}", "[]"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PROJECTS), st.data())
def test_no_change_to_a_file_raises(files: dict[str, str], data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(files)))
    text = files[file]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    loaded_and_written({**files, file: text[:start] + data.draw(NOISE) + text[end:]})


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a document with each of its keys."""
    if not isinstance(value, dict | list):
        return []
    members = value.items() if isinstance(value, dict) else enumerate(value)
    return [place for key, item in members for place in [(value, key), *places_in(item)]]


ODD = st.sampled_from([
    None, True, 0, -1, 1.5, 10**30, 2**63, 2**64, -0.0, float("nan"), "", "x", "{% ( %}", "{% steps.x %}", "{% $ %}",
    "{%%}", "\0", "9" * 400 + "s", "5s", [], {}, [[]], {"": 1}, {1: 2}, {None: 1}, [None], {"a": None}, b"\xff",
    [{"id": "x"}], {"type": "object", "required": 5}, {"kind": "x", "settings": {}}, "2026-01-31"])
KEYS = st.sampled_from(["zz", 1, None, "if", "steps", "catch", "retry", "fallback", "on_error", "timeout", "mask",
                        "kind", "settings", "reply", "stop", "call", "input", "output", "required", "properties"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PROJECTS), st.data())
def test_no_other_value_at_any_place_raises(files: dict[str, str], data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(files)))
    document = YAML(typ="safe").load(files[file])
    container, key = data.draw(st.sampled_from(places_in(document)))
    if isinstance(container, dict) and data.draw(st.booleans()):
        key = data.draw(KEYS)
    container[key] = data.draw(ODD)
    text = io.StringIO()
    YAML(typ="safe").dump(document, text)
    loaded_and_written({**files, file: text.getvalue()})


@pytest.mark.parametrize(("value", "place", "says"), [
    ("2026-01-31", (2, 35), "2026-01-31 is a date here"), ("!!binary /w==", (2, 35), "'binary' is a type of YAML"),
    ("!!set {a}", (2, 35), "'set'"), ("99999999999999999999", (2, 35), "beyond those of JSON"),
    ("0x" + "f" * 5000, (2, 35), "beyond those of JSON"), (".nan", (2, 35), "beyond those of JSON"),
    ("[1, -.inf]", (2, 46), "beyond those of JSON"), ("{ 1: a }", (2, 44), "in quotes it is one"),
    ("{ a: { null: a } }", (2, 49), "in quotes it is one")])
def test_what_json_cannot_hold_is_told_with_its_place(value: str, place: tuple[int, int], says: str) -> None:
    text = CALLS["workflows/w.yaml"].replace("{ n: 1, day: '2026-01-31' }", value)
    found = load_project({**CALLS, "workflows/w.yaml": text}).problems
    assert [(one.file, one.code, (one.line, one.column)) for one in found] == [("workflows/w.yaml", "json", place)]
    assert says in found[0].message


@pytest.mark.parametrize("value", [str(2**64 - 1), str(-2**63), "1e308", "'2026-01-31'", "{ '1': a }",
                                   "{ <<: { a: 1 } }"])
def test_what_json_can_just_hold_is_accepted(value: str) -> None:
    text = CALLS["workflows/w.yaml"].replace("'{% steps.t %}'", value)
    assert loaded_and_written({**CALLS, "workflows/w.yaml": text}).problems == ()


@pytest.mark.parametrize(("step", "says"), [
    ("{ id: b, kind: nothing, settings: {} }", "this one has none"), ("{ id: b, kind: stop, stop: }", "key 'kind'"),
    ("{ id: b, settings: {}, stop: }", "key 'settings'"), ("{ id: b, stop: [] }", "a mapping")])
def test_step_of_a_file_names_its_kind_in_one_way(step: str, says: str) -> None:
    text = CALLS["workflows/a.yaml"].replace("{ id: s, stop: }", step)
    found = load_project({**CALLS, "workflows/a.yaml": text}).problems
    assert [(one.file, one.code, one.line) for one in found] == [("workflows/a.yaml", "shape", 4)]
    assert says in found[0].message


@pytest.mark.parametrize("text", ["[" * 1000, "a: " * 500, "x: &a [*a]", "- " * 3000, "\0", "%YAML 3.0\n---\n"],
                         ids=["deep list", "deep map", "a loop", "deep dashes", "nul", "a later YAML"])
def test_hostile_yaml_is_a_problem_and_nothing_worse(text: str) -> None:
    for file in ("weir.yaml", OPERATIONS, LOOKUP):
        assert load_project({**FILES, file: text}).problems
