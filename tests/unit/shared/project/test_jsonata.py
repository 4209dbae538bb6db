"""JSONata through our embedding: values keep their types, and the official cases give what they say.

The official suite is not part of this repository: WEIR_JSONATA_SUITE names a copy of its folder `test/test-suite`.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jlens import Expression, JlensError

from shared.errors import WorkflowFailed
from shared.project.expressions import BOUNDS, BadExpression, TooLong, aside, compile_value

SUITE = os.environ.get("WEIR_JSONATA_SUITE", "")
MISSING = object()


@pytest.mark.parametrize(("expression", "value", "expected"), [
    ("a", {"a": 1}, 1),
    ("a", {"a": 1.0}, 1),
    ("a", {"a": 9_007_199_254_740_991}, 9_007_199_254_740_991),
    ("a", {"a": 0.1}, 0.1),
    ("a + 0.2", {"a": 0.1}, 0.1 + 0.2),
    ("a", {"a": -0.0}, 0),
    ("a", {"a": True}, True),
    ("a", {"a": "1"}, "1"),
    ("a", {"a": None}, None),
    ("$exists(a)", {"a": None}, True),
    ("$exists(b)", {"a": None}, False),
    ("a = null", {"a": None}, True),
    ("b = null", {"a": None}, False),
    ("[a, b]", {"a": None}, [None]),
    ("{'a': a, 'b': b}", {"a": None}, {"a": None}),
    ("a", {"a": []}, []),
    ("a", {"a": [[1]]}, [[1]]),
    ("a.b", {"a": [{"b": 1}]}, 1),
    ("a.b[]", {"a": [{"b": 1}]}, [1]),
    ("a.b", {"a": [{"b": 1}, {"b": 2}]}, [1, 2]),
    ("a", {"a": {}}, {}),
    ("$keys(a)", {"a": {"x": 1, "y": 2}}, ["x", "y"]),
    ("$string(a)", {"a": 1.5}, "1.5"),
    ("$number(a)", {"a": "12"}, 12),
    ("a & b", {"a": "ü", "b": 1}, "ü1"),
    ("$length(a)", {"a": "😀"}, 1),
    ("$split(a, '')[0]", {"a": "\ud83d"}, "\ufffd"),
    ("$count([a])", {"a": 2**70}, 1),
])
def test_value_keeps_its_type_on_the_way_through(expression: str, value: Any, expected: Any) -> None:
    template = compile_value("{% " + expression + " %}")
    found = template.render(value)
    assert found == expected
    assert type(found) is type(expected)
    with aside():
        beside = template.render(value)
    assert (beside, type(beside)) == (found, type(found))


def test_whole_number_stays_whole_and_is_not_a_truth() -> None:
    found = compile_value({"one": "{% a %}", "sum": "{% $sum([a, a]) %}"}).render({"a": 1})
    assert json.dumps(found) == '{"one": 1, "sum": 2}'


@pytest.mark.parametrize(("expression", "kind", "setting"), [
    ("($f := function($x) {$f($x)}; $f(1))", "expression-timeout", "EXPRESSION_TIMEOUT_MS"),
    ("($f := function($x) {1 + $f($x)}; $f(1))", "expression-too-deep", "EXPRESSION_MAX_DEPTH"),
    ("[1..9999].$pad('', 1000, 'x')", "expression-too-large", "EXPRESSION_MAX_BYTES"),
])
def test_bound_that_is_hit_says_its_name_and_has_a_kind(expression: str, kind: str, setting: str) -> None:
    template = compile_value("{% " + expression + " %}")
    with pytest.raises(WorkflowFailed, match=f"WEIR_EXECUTOR_{setting}") as found:
        template.render({})
    assert found.value.members["error"] == kind
    with aside(), pytest.raises(WorkflowFailed) as beside:
        template.render({})
    assert str(beside.value) == str(found.value)


def test_expression_that_took_longer_than_a_turn_is_not_tried_within_one_the_next_time(
        monkeypatch: pytest.MonkeyPatch) -> None:
    template = compile_value("{% $count([1..100000].($ * 2)) %}")
    monkeypatch.setattr(BOUNDS, "turn_ms", 1)
    with pytest.raises(TooLong):
        template.render({})
    monkeypatch.setattr(BOUNDS, "turn_ms", 999)
    with pytest.raises(TooLong):
        template.render({})
    with aside():
        assert template.render({}) == 100_000


def cases() -> Iterator[Any]:
    """Cases of the official suite that need nothing but an expression and a document."""
    folder = Path(SUITE)
    datasets = {path.stem: json.loads(path.read_text()) for path in (folder / "datasets").glob("*.json")}
    for path in sorted((folder / "groups").rglob("*.json")):
        found = json.loads(path.read_text())
        for number, case in enumerate(found if isinstance(found, list) else [found]):
            source = case["expr"] if "expr" in case else (path.parent / case["expr-file"]).read_text()
            if case.get("bindings") or "%}" in source:
                continue
            data = case["data"] if "data" in case else datasets.get(case.get("dataset") or "")
            yield pytest.param(case, source, data, id=f"{path.parent.name}/{path.stem}-{number}")


@pytest.mark.skipif(not SUITE, reason="WEIR_JSONATA_SUITE names no copy of the official suite")
@pytest.mark.parametrize(("case", "source", "data"), list(cases()) if SUITE else [])
def test_official_case_that_the_library_passes_is_passed_through_our_embedding(
        case: Any, source: str, data: Any) -> None:
    alone: Any = MISSING
    try:
        alone = Expression(source).evaluate(data, timeout=BOUNDS.timeout_ms / 1000, max_depth=BOUNDS.max_depth,
                                            max_result_size=BOUNDS.max_bytes)
    except (JlensError, UnicodeEncodeError) as exc:
        alone = exc
    if isinstance(alone, Exception):
        with pytest.raises((BadExpression, WorkflowFailed)):
            compile_value("{% " + source + " %}").render(data)
        return
    template = compile_value("{% " + source + " %}")
    found = template.render(data)
    assert json.dumps(found) == json.dumps(alone)
    if data is not None:
        with aside():
            assert json.dumps(template.render(data)) == json.dumps(found)
    if "result" in case:
        assert _same(found, case["result"])


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=1e-9)
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_same(found[key], expected[key]) for key in found)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    return bool(found == expected)
