"""What a condition in CEL is asked when it is compiled, and what only when it is new."""

import json
import time

import pytest

from shared.project.access.cel import BadCel, Undecided, check_texts, compile_condition, compile_cost, constant_cost
from shared.project.access.facts import Facts


@pytest.mark.parametrize("text", ['method.matches("(")', 'now.getHours("Mars/Crater") > 3'])
def test_text_that_a_function_cannot_take_is_refused_in_what_is_new_and_read_in_what_is_in_force(text: str) -> None:
    with pytest.raises(BadCel, match="cannot take"):
        check_texts(text)
    condition = compile_condition(text)
    with pytest.raises(Undecided):
        condition(Facts(operation="o", method="GET", now_ms=0))


@pytest.mark.parametrize("text", ["10 / 0", "dyn('x')", "'size' == 'x' ? -5 : -5"])
def test_constant_that_is_no_cost_is_refused_in_what_is_new_and_read_in_what_is_in_force(text: str) -> None:
    with pytest.raises(BadCel):
        constant_cost(text)
    compile_cost(text)


@pytest.mark.parametrize(("text", "every"), [
    ("2 * 3", 6), ("dyn(6.0)", 6), ("size('abc')", 3), ('{"size": 2}.size', 2), ("size", None), (".size", None),
    ("'a' in header ? 1 : 2", None), ("[1].map(x, x)[0]", 1), ("int(body.size)", None)])
def test_cost_is_the_same_for_every_call_where_no_variable_is_read(text: str, every: int | None) -> None:
    assert constant_cost(text) == every
    assert compile_cost(text)(Facts(operation="o", method="GET", now_ms=0, body=b'{"size": 6}')) == every or not every


@pytest.mark.parametrize("more", [0, 2_000])
def test_large_body_is_turned_into_values_once_for_all_expressions(more: int) -> None:
    facts = Facts(operation="o", method="POST", now_ms=0, client="c", body=b'{"n": 1, "more": "%s"}' % (b"x" * more))
    assert compile_condition("body.n == 1")(facts)
    facts.document["n"] = 2
    assert compile_condition("body.n == 1 && client == 'c'")(facts) is bool(more)
    assert compile_cost("size(body.more)")(facts) == more
    with pytest.raises(Undecided, match="Key not found"):
        compile_condition("body.none == 1")(facts)


@pytest.mark.parametrize(("text", "items", "holds"), [
    ("body.l.filter(x, x > 1).size() > 1", 1_000, True), ("size(body.l . map (x, x)) > 1", 1_001, None),
    ("body.l.filter(x, x > 1).size() > 1", 1_001, None), ("body.l.exists(x, x == 1000)", 1_001, True),
    ("body.l.exists(x, x == -1)", 10_001, None)])
def test_list_that_would_be_copied_for_each_of_its_items_leaves_an_expression_without_a_value(
        text: str, items: int, holds: bool | None) -> None:
    facts = Facts(operation="o", method="POST", now_ms=0, body=json.dumps({"l": list(range(items))}).encode())
    if holds is None:
        with pytest.raises(Undecided):
            compile_condition(text)(facts)
    else:
        assert compile_condition(text)(facts) is holds


@pytest.mark.parametrize(("text", "counts"), [
    ("body.l.filter(x, x > 0).size()", True), ("body.l.map(x, x).filter(x, x > 0).size()", True),
    ("query['l'].map(x, 1)[0]", True), ("body.o.map(name, 1)[0]", True), ("[body.l][0].map(x, x)[0]", True),
    ("body.several.filter(one, one.l.map(x, x).size() > 0).size()", True),
    ("body.few.filter(x, x > 0).size()", False), ("body.few.map(x, x).filter(x, x > 0)[0]", False),
    ("body.l.all(x, x > 0) ? 1 : 2", False), ("size('.map(') + size(body.l)", False)])
def test_only_what_lists_are_made_of_counts_be_it_a_list_or_names(text: str, counts: bool) -> None:
    items = [1] * 1_001
    body = {"l": items, "few": [1, 2], "o": {str(number): 1 for number in range(1_001)}, "several": [{"l": items}]}
    facts = Facts(operation="o", method="GET", now_ms=0, body=json.dumps(body).encode(), query={"l": ["1"] * 1_001})
    if counts:
        with pytest.raises(Undecided, match="over 1000 items"):
            compile_cost(text)(facts)
    else:
        assert compile_cost(text)(facts)


LONG = {"a": [9] * 9_000, "t": "a" * 800_000, "b": list(range(60_000)), "c": list(range(60_000)), "l": [[7] * 300] * 30,
        "o": {f"k{number}": "v" * 300 for number in range(3_000)}, "x": [{"y": "v" * 5_000}] * 900,
        "s": [[1, 2, 3]] * 50}


@pytest.mark.parametrize("text", [
    "body.a.all(x, size(body.t) > 1)", 'body.a.exists(x, body["t"].contains("b"))', "body.a.all(x, !(x in body.b))",
    "body.a.exists_one(x, body.b != body.c)", "body.l.all(x, x.all(y, size(body.t) > 1))",
    "body.x.exists(x, body.a.exists(y, x.y == 'w'))", "(body.l + body.l).all(x, size(body.t) > 1)",
    "body.l.map(x, x[0]).all(x, x in body.b) && body.a.all(x, x in body.a)", "body.x.all(x, body.x[x.y] != body.x)"])
def test_loop_that_looks_at_too_much_in_each_pass_has_no_value_at_once(text: str) -> None:
    facts = Facts(operation="o", method="POST", now_ms=0, body=json.dumps(LONG).encode())
    condition = compile_condition(text)
    assert facts.document
    began = time.process_time()
    with pytest.raises(Undecided, match="too much in each pass"):
        condition(facts)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("text", [
    "body.a.all(x, x < 10)", "body.x.all(x, x.y != client && x.y != body.x[0].y + '!')",
    "body.l.all(x, x[0] in body.l[0])",
    "body.l.exists(x, body.l.exists(y, x[0] == y[1]))", "body.o.all(k, body.o[k] != '')", "body.b != body.c || true",
    "body.l.map(x, x[0]).all(x, x in [7])", "body.s.all(x, x.all(y, y in x))", "body.a.all(x, x > size(roles))"])
def test_loop_that_looks_at_little_in_each_pass_has_a_value(text: str) -> None:
    facts = Facts(operation="o", method="POST", now_ms=0, body=json.dumps(LONG).encode())
    assert compile_condition(text)(facts)
