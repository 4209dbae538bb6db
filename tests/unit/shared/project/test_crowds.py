"""What takes the square of its input is refused before it holds up everybody."""

import time
from typing import Any

import pytest
from jlens import Expression

from shared.errors import WorkflowFailed
from shared.project.crowds import MOST_ITEMS, crowd_in
from shared.project.expressions import BOUNDS, TooLong, aside, compile_value

MANY = MOST_ITEMS * 3
NUMBERS = list(range(MANY))
NAMES = {str(number): number for number in NUMBERS}


@pytest.mark.parametrize(("expression", "body"), [
    ("$distinct(trigger.body)", NUMBERS), ("trigger.body ~> $distinct()", NUMBERS), ("$distinct([1..30000])", None),
    ("($f := $distinct; $f(trigger.body))", NUMBERS), ("$eval('$distinct(trigger.body)')", NUMBERS),
    ("trigger.body{$string($): 1}", NUMBERS), ("trigger.body.($string($)) {$: 1}", NUMBERS),
    # each value of two items is compared
    ("$distinct(trigger.body)", [{"a": 1, "b": 2, "c": 3, "d": number} for number in range(MOST_ITEMS // 2)]),
    ("$distinct(trigger.body)", [[1] * 20 + [number] for number in range(MOST_ITEMS // 2)]),
    ("$merge(trigger.body)", [{str(number): 1} for number in NUMBERS]),
    ("$merge(trigger.body)", [{str(number + more): 1 for more in range(10)} for number in range(0, MANY, 10)]),
    ("$keys(trigger.body.a)", {"a": [NAMES]}), ("$sift(trigger.body, function($v) {true})", NAMES),
    ("trigger.body.rows{id: 1}", {"rows": [{"id": str(number)} for number in NUMBERS]})])
def test_more_than_the_engine_does_in_time_is_refused_at_once(expression: str, body: Any) -> None:
    template, began = compile_value(f"{{% {expression} %}}"), time.process_time()
    with pytest.raises(WorkflowFailed) as failed:
        template.render({"trigger": {"body": body}})
    assert failed.value.members["error"] == "expression-too-large"
    assert "_MAX_BYTES" not in str(failed.value)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(("expression", "gives"), [
    ("$distinct(trigger.few)", [1, 2]), ("trigger.few{$string($): $count($)}", {"1": 2, "2": 1}),
    ("$count($distinct(trigger.few)) + trigger.other", 7), ("$keys(trigger.row)", ["a", "b"]),
    ("$count($distinct(trigger.rows.a))", MOST_ITEMS // 2), ("$count($distinct(trigger.most))", MOST_ITEMS),
    ("$merge([trigger.row, {'c': 3}])", {"a": 1, "b": 2, "c": 3})])
def test_what_is_not_read_counts_for_nothing(expression: str, gives: Any) -> None:
    rows = [{"a": number, "b": 1, "c": 1, "d": 1} for number in range(MOST_ITEMS // 2)]
    scope = {"trigger": {"rows": rows, "most": NUMBERS[:MOST_ITEMS], "few": [1, 1, 2],
                         "row": {"a": 1, "b": 2}, "other": 5, "body": NUMBERS, "names": NAMES}}
    assert compile_value(f"{{% {expression} %}}").render(scope) == gives


@pytest.mark.parametrize("expression", [
    "$count($distinct(trigger.body))", "$count($keys(trigger.body{$string($): 1}))"])
def test_what_takes_long_without_a_look_at_the_clock_is_not_tried_within_a_turn(
        monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    monkeypatch.setattr(BOUNDS, "turn_ms", 999)
    template = compile_value(f"{{% {expression} %}}")
    few, many = ({"trigger": {"body": NUMBERS[:count]}} for count in (1_000, 5_000))
    assert template.render(few) == 1_000
    with pytest.raises(TooLong):
        template.render(many)
    with aside():
        assert template.render(many) == 5_000


def test_neither_is_what_an_expression_makes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BOUNDS, "turn_ms", 999)
    template = compile_value("{% $count($distinct([1..trigger.body])) %}")
    assert template.render({"trigger": {"body": 1_000}}) == 1_000
    with pytest.raises(TooLong):
        template.render({"trigger": {"body": 5_000}})
    with aside():
        assert template.render({"trigger": {"body": 5_000}}) == 5_000


@pytest.mark.parametrize("source", [
    "$count(a)", "$map(a, function($x) { $x })", "a.{'b': $}", "$map(a, function($x)<n:n>{ $x })", "{'a': b}",
    "a ? {'b': 1} : {'b': 2}", "a ~> |$|{'b': 1}|", "$filter(a, λ($x){ $x })", "[{'a': 1}, {'a': 2}]", "$sort(a)"])
def test_other_expressions_are_left_alone(source: str) -> None:
    assert crowd_in(source, Expression(source)) is None
