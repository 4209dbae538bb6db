"""Allowances in weir.yaml: what may be written, and where each mistake stands."""

import pytest

from shared.project.load import load_project
from shared.project.model import Project
from shared.project.schema import project_schema
from shared.project.schemas import compile_schema

FILES = {
    "operations.yaml": "operations:\n  - {name: get-a, method: GET, path: /a, workflow: w}\n",
    "workflows/w.yaml": "steps:\n  - id: answer\n    reply: {body: 1}\n"}
LIST = "allowance:\n  - {tasks: 5}\n  - "
# text of weir.yaml after its name, code, line and column, part of the message
CASES = [
    ("allowance: {tasks: 5, zone: Mars/Crater}", "shape", (2, 23), "no time zone 'Mars/Crater'"),
    ("allowance: {tasks: 0}", "shape", (2, 13), "greater than or equal to 1"),
    ("allowance: {tasks: '5'}", "shape", (2, 13), "a whole number; without quotes it is one"),
    ("allowance: {tasks: 5, per: minute}", "shape", (2, 23), "'hour', 'day', 'week', 'month', 'quarter' or 'year'"),
    ("allowance: {per: month}", "shape", (2, 1), "`tasks` is missing"),
    (LIST + "{tasks: 6, taks: 4}", "unknown-key", (4, 16), "unknown key 'taks'"),
    (LIST + "{tasks: 6}", "duplicate", (4, 5), "allowance 'project' stands twice"),
    (LIST + "{tasks: 6, name: project}", "duplicate", (4, 16), "allowance 'project' stands twice"),
    (LIST + "{tasks: 6, name: b, operations: [get-a, put-*]}", "dangling", (4, 45), "no operation matches 'put-*'"),
    ("allowance:\n  tasks: 5\n  operations: [b]", "dangling", (4, 16), "there is no operation 'b'"),
    (LIST + "{tasks: 6, name: b, thresholds: [100, 80]}", "shape", (4, 25), "percentages that rise"),
    (LIST + "{tasks: 6, name: b, thresholds: [0]}", "shape", (4, 38), "greater than or equal to 1"),
    (LIST + "{tasks: 6, name: b, by: [client, role]}", "shape", (4, 38), "'client' or 'operation'"),
    (LIST + "{tasks: 6, name: b, by: [client, client]}", "shape", (4, 5), "names a side once"),
    (LIST + "{tasks: 6, name: b, at_limit: throttle}", "shape", (4, 5), "`rate` (calls a minute) belong together"),
    (LIST + "{tasks: 6, name: b, rate: 5}", "shape", (4, 5), "`rate` (calls a minute) belong together"),
    (LIST + "{tasks: 6, name: b, tasks_of: {a: 1}}", "shape", (4, 5), "needs `by: client`"),
    (LIST + "{tasks: 6, name: b, webhook: {url: 'http://far.example', secret: A}}", "shape", (4, 35), "over https://"),
    (LIST + "{tasks: 6, name: b, webhook: {url: 'https://far.example', secret: my secret}}", "shape", (4, 63),
     "the name of a secret, not the secret"),
    (LIST + "{tasks: 6, name: b, webhook: {url: 'https://a.example/', secret: WEIR_SECRET_A}}", "rule", (4, 62),
     "write A"),
    ("allowance: 5", "shape", (2, 1), "has to be a list"),
]


@pytest.mark.parametrize(("text", "code", "where", "message"), CASES, ids=[case[0] for case in CASES])
def test_each_mistake_is_told_with_its_place(text: str, code: str, where: tuple[int, int], message: str) -> None:
    loaded = load_project({**FILES, "weir.yaml": f"name: p\n{text}\n"})
    assert [(problem.file, problem.code, (problem.line, problem.column)) for problem in loaded.problems] == [
        ("weir.yaml", code, where)], loaded.problems
    assert message in loaded.problems[0].message


GOOD = """name: p
allowance:
  - {tasks: 100000, zone: Europe/Berlin}
  - {tasks: 500, per: day, by: client, tasks_of: {shop: 9000}, clients: ["s*"], thresholds: [50, 100, 200],
     at_limit: overage, webhook: {url: "https://billing.example/weir", secret: BILLING}}
  - {name: dear, description: costs us money, tasks: 50, by: [operation, client], operations: ["get-*"], per: week,
     at_limit: throttle, rate: 5, thresholds: []}
"""


def test_what_is_written_is_what_the_document_says_and_the_schema_allows() -> None:
    loaded = load_project({**FILES, "weir.yaml": GOOD})
    assert loaded.project is not None, loaded.problems
    assert [one.label for one in loaded.project.allowance] == ["project", "client", "dear"]
    assert loaded.project.allowance[0].thresholds == (80, 100)
    document = loaded.project.to_document()
    assert Project.model_validate(document) == loaded.project
    schema = project_schema()
    schema |= {"$ref": "#/$defs/weir.yaml"}
    allows = compile_schema(schema)
    written = {"name": "p", "allowance": [{"tasks": 500, "per": "day", "by": "client", "tasks_of": {"shop": 9000}}]}
    assert allows.is_valid(written)
    assert allows.is_valid({"name": "p", "allowance": {"tasks": 5}})
    assert not allows.is_valid({"name": "p", "allowance": {"tasks": 5, "taks": 4}})


def test_one_alone_needs_no_list() -> None:
    loaded = load_project({**FILES, "weir.yaml": "name: p\nallowance: {tasks: 5}\n"})
    assert loaded.project is not None
    assert [(one.label, one.tasks, one.per, one.zone, one.at_limit) for one in loaded.project.allowance] == [
        ("project", 5, "month", "UTC", "stop")]
