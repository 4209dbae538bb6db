import time
from typing import Any

import pytest

from shared.project.load import load_project
from shared.project.places import read
from shared.project.salvage import salvage

TEXT = """\
policies:
  - name: a
    limits: [{ limit: 0 }, { limit: 1 }]
  - name: b
  - name: c
    limits:
      - limit: 2
      - limit: x
roles: [r]
"""


@pytest.mark.parametrize(("malformed", "data", "places"), [
    ([("policies", 1, "name")],
     [{"name": "a", "limits": [{"limit": 0}, {"limit": 1}]}, {"name": "c", "limits": [{"limit": 2}, {"limit": "x"}]}],
     {("policies", 1, "name"): (5, 5), ("policies", 1, "limits", 1, "limit"): (8, 9)}),
    ([("policies", 0, "limits", 0, "limit"), ("policies", 2, "limits", 1), ("policies", 1)],
     [{"name": "a", "limits": [{"limit": 1}]}, {"name": "c", "limits": [{"limit": 2}]}],
     {("policies", 0, "limits", 0): (3, 28), ("policies", 1, "limits", 0, "limit"): (7, 9)}),
    ([("policies", 2, "limits", 0), ("policies", 2, "nope")],
     [{"name": "a", "limits": [{"limit": 0}, {"limit": 1}]}, {"name": "b"}], {("policies", 1, "name"): (4, 5)})],
    ids=["one item", "items at several depths", "an item and what stands in it"])
def test_malformed_items_are_cut_out_and_places_move_up(malformed: Any, data: Any, places: Any) -> None:
    source = read("access.yaml", TEXT)
    rest = salvage(source, malformed, {"policies"})
    assert rest is not None
    assert rest.data == {"policies": data, "roles": ["r"]}
    assert {path: rest.places[path] for path in places} == places
    assert ("policies", len(data)) not in rest.places
    assert source.data == read("access.yaml", TEXT).data, "the file itself is left as it was"


@pytest.mark.parametrize("path", [("roles", 0), ("policies",), ()])
def test_parts_that_others_refer_to_are_not_cut_out(path: Any) -> None:
    assert salvage(read("access.yaml", TEXT), [path, ("policies", 0)], {"policies"}) is None


def test_items_that_are_cut_out_do_not_have_all_places_looked_through_for_each_of_them() -> None:
    source = read("access.yaml", "policies:\n" + "".join(f"- {{name: p{n}, a: 1, b: 2}}\n" for n in range(3_000)))
    began = time.process_time()
    rest = salvage(source, [("policies", n) for n in range(2_999)], {"policies"})
    assert time.process_time() - began < 2, "one after the other takes it ten seconds"
    assert rest is not None
    assert rest.places[("policies", 0, "b")] == source.places[("policies", 2_999, "b")]


def test_malformed_policy_hides_no_mistake_of_another_one() -> None:
    problems = load_project({
        "weir.yaml": "name: p\n", "workflows/w.yaml": "steps: [{ id: a, reply: { body: 1 } }]\n",
        "operations.yaml": "operations: [{ name: o, method: GET, path: /o, workflow: w }]\n",
        "access.yaml": "policies:\n"
                       "  - { name: a, action: maybe }\n"
                       "  - { name: b, action: reject, rules: [{ ip: [10.0.0.0/33] }] }\n"
                       "  - { name: c, action: accept, limits: [{ limit: 0, per: minute }] }\n"
                       "  - { name: d, action: reject, operations: [none], rules: [{ when: 1 + 'a' }] }\n"}).problems
    assert [(problem.line, problem.code) for problem in problems] == [
        (2, "shape"), (3, "rule"), (4, "shape"), (5, "dangling"), (5, "rule")]


def test_policy_may_name_an_operation_that_is_malformed() -> None:
    problems = load_project({
        "weir.yaml": "name: p\n", "workflows/w.yaml": "steps: [{ id: a, reply: { body: 1 } }]\n",
        "operations.yaml": "operations: [{ name: o, method: GOT, path: /o, workflow: w }]\n",
        "access.yaml": "policies: [{ name: a, action: reject, operations: [o], rules: [{ ip: [10.0.0.0/8] }] }]\n",
    }).problems
    assert [(problem.file, problem.code) for problem in problems] == [("operations.yaml", "shape")]
