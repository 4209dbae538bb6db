"""What validation says of steps inside steps, with the place."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from shared.project.load import load_project
from shared.project.places import Problem

OPERATIONS = """operations:
  - { name: o, method: GET, path: /, workflow: w }
"""


def problems(workflow: str, **others: str) -> list[Problem]:
    files = {"weir.yaml": "name: p\n", "operations.yaml": OPERATIONS, "workflows/w.yaml": workflow,
             **{f"workflows/{name}.yaml": text for name, text in others.items()}}
    return list(load_project(files).problems)


def only(workflow: str, **others: str) -> Problem:
    found = problems(workflow, **others)
    assert len(found) == 1, found
    return found[0]


ANSWER = "  - { id: answer, reply: { body: 1 } }\n"
LOOP = "steps:\n  - id: l\n    loop:\n      over: [1]\n      steps:\n        - %s\n" + ANSWER
BRANCH = "steps:\n  - id: b\n    branch:\n      if: 'true'\n      then:\n        - %s\n"
PARALLEL = "steps:\n  - id: p\n    parallel:\n      branches:\n        one:\n          - %s\n" + ANSWER


@pytest.mark.parametrize("workflow", [
    PARALLEL % "{ id: x, delay: { for: 1s } }\n          - { id: y, transform: { value: '{% steps.x %}' } }",
    (PARALLEL % "{ id: x, delay: { for: 1s } }").replace("body: 1", "body: '{% steps.x %}'"),
    (PARALLEL % "{ id: x, delay: { for: 1s } }").replace(
        ANSWER, "    catch: [{ id: y, transform: { value: '{% steps.x %}' } }]\n" + ANSWER)],
    ids=["in its branch", "after them", "when they have failed"])
def test_steps_of_branches_are_read_where_they_have_ended(workflow: str) -> None:
    assert problems(workflow) == []


@pytest.mark.parametrize(("workflow", "code", "place", "says"), [
    ("steps:\n  - { id: a, if: 'true', break: }\n" + ANSWER, "misplaced", (2, 26), "in no loop"),
    (BRANCH % "{ id: c, continue: }" + ANSWER, "misplaced", (6, 20), "in no loop"),
    (PARALLEL % "{ id: r, reply: {} }", "misplaced", (6, 22), "beside others"),
    (PARALLEL % "{ id: r, break: }", "misplaced", (6, 22), "in no loop"),
    (LOOP.replace("over: [1]", "over: [1]\n      concurrency: 2") % "{ id: r, break: }", "misplaced", (7, 20),
     "beside"),
    (LOOP.replace("over: [1]", "over: [1]\n      concurrency: 2") % (
        "{ id: b, branch: { if: 'true', then: [{ id: r, break: }] } }"), "misplaced", (7, 58), "beside"),
    (PARALLEL % "{ id: i, loop: { over: [1], steps: [{ id: s, stop: }] } }", "misplaced", (6, 58), "beside others"),
    (BRANCH % "{ id: r, reply: {} }", "no-reply", (1, 1), "can end without a reply"),
    ("steps:\n  - { id: s, stop: }\n", "no-reply", (2, 14), "without a reply"),
    ("steps:\n  - { id: s, if: trigger.body.x, stop: }\n" + ANSWER, "no-reply", (2, 34), "without a reply"),
    (BRANCH % "{ id: s, stop: }" + ANSWER, "no-reply", (6, 20), "without a reply"),
    (LOOP % "{ id: s, stop: }", "no-reply", (6, 20), "without a reply"),
    ("steps:\n  - { id: t, transform: { value: 1 }, catch: [{ id: s, stop: }] }\n" + ANSWER, "no-reply", (2, 56),
     "without a reply"),
    (PARALLEL % "{ id: s, stop: }", "misplaced", (6, 22), "beside others"),
    (BRANCH % "{ id: s, delay: { for: 1s } }" + ANSWER.replace("answer", "s"), "duplicate", (7, 7), "stands twice"),
    ("steps:\n  - { id: a, fail: { message: x } }\n" + ANSWER, "unreachable", (3, 5), "a fail stands before"),
    (LOOP % "{ id: x, transform: { value: '{% steps.y %}' } }", "step-order", (6, 33), "'y' is no step"),
    (LOOP.replace(ANSWER, ANSWER.replace("body: 1", "body: '{%% steps.x %%}'"))
     % "{ id: x, transform: { value: 1 } }", "step-order", (7, 28), "'x' stands in a loop, whose passes keep theirs"),
    (PARALLEL % ("{ id: x, delay: { for: 1s } }\n        two:\n"
                 "          - { id: y, transform: { value: '{% steps.x %}' } }"), "step-order", (8, 35),
     "runs beside this one"),
    (LOOP % "{ id: x, if: '{% trigger.body %} > 5', delay: { for: 1s } }", "expression", (6, 20),
     "write one expression: {% trigger.body > 5 %}"),
    (LOOP % "{ id: x, if: '{% trigger.body %}, {% loop.item %}', delay: { for: 1s } }", "expression", (6, 20),
     "write one expression: {% ... %}"),
    (LOOP.replace("over: [1]", "while: 'no {%% loop.last %%}'") % "{ id: x, delay: { for: 1s } }", "expression", (4, 7),
     "a text holds whatever it says"),
    (BRANCH.replace("if: 'true'", "if: '{%% 1 %%} '' {%% 1 %%}'") % "{ id: x, delay: { for: 1s } }" + ANSWER,
     "expression", (4, 7), "write one expression"),
    (LOOP % "{ id: x, if: '))', transform: { value: 1 } }", "expression", (6, 20), "does not compile"),
    ("steps:\n  - id: b\n    branch: { if: '((', then: [{ id: x, delay: { for: 1s } }] }\n" + ANSWER, "expression",
     (3, 15), "does not compile"),
    ("steps:\n  - { id: a, transform: { value: '{% errors.z %}' } }\n" + ANSWER, "step-order", (2, 27), "errors.z"),
    ("steps:\n  - { id: c, call: { workflow: none } }\n" + ANSWER, "dangling", (2, 22), "workflows/none.yaml"),
    ("steps:\n  - { id: c, call: { workflow: w } }\n" + ANSWER, "cycle", (2, 22), "w -> w"),
    ("input: { type: nothing }\nsteps:\n" + ANSWER, "schema", (1, 10), "not a JSON Schema"),
    ("steps:\n  - { id: l, loop: { over: [1], while: 'true', steps: [{ id: x, stop: }] } }\n" + ANSWER, "shape",
     (2, 5), "either `over` or `while`"),
    ("steps:\n  - { id: a, on_error: catch, stop: }\n" + ANSWER, "shape", (2, 5), "needs the steps under `catch`"),
    ("steps:\n  - { id: a, on_error: fail, fallback: 1, stop: }\n" + ANSWER, "shape", (2, 5), "never uses `fallback`"),
    ("steps:\n  - { id: e, emit: { data: 1 } }\n" + ANSWER, "misplaced", (2, 14), "only callers of `mode: events`"),
    ("steps:\n  - { id: e, emit: { event: end, data: 1 } }\n" + ANSWER, "shape", (2, 5), "the name of the last event"),
    ("steps:\n  - { id: t, transform: { value: \"\\ud800\" } }\n" + ANSWER, "text", (2, 27), "half of a character"),
    ("steps:\n  - { id: h, http: { url: 'http://x', expect: [9xx] } }\n" + ANSWER, "shape", (2, 48), "a class of them"),
    ("steps:\n  - { id: h, http: { url: 'http://x', headers: { 'a b': c } } }\n" + ANSWER, "shape", (2, 50), "a head"),
    ("steps:\n  - { id: get-a, stop: }\n" + ANSWER, "shape", (2, 7), "a letter first, as in get_employee"),
    (PARALLEL.replace("one:", "One:") % "{ id: x, delay: { for: 1s } }", "shape", (5, 9), "a letter first"),
    ("steps:\n  - { id: h, http: { url: 'http://x', proxy: 'proxy:3128' } }\n" + ANSWER, "shape", (2, 39), "http://"),
    ("steps:\n  - { id: h, http: { url: 'http://x', proxy: 'http://:3128' } }\n" + ANSWER, "shape", (2, 39), "a host"),
    ("steps:\n  - { id: p, publish: { topic: 'a {% 1 %}', value: 1 } }\n" + ANSWER, "shape", (2, 25), "no expression"),
    ("steps:\n  - { id: e, emit: { event: 'a b', data: 1 } }\n" + ANSWER, "shape", (2, 22), "any of _ . : -"),
    ("steps:\n  - { id: j, script: { code: 'return (' } }\n" + ANSWER, "script", (2, 24), "SyntaxError"),
    ("steps:\n  - { id: t, transform: { value: " + "[" * 70 + "]" * 70 + " } }\n" + ANSWER, "nested", (2, 91),
     "more than 60 levels"),
    ("steps:\n  - { id: d, delay: 5s }\n" + ANSWER, "shape", (2, 14), "with for, until; write `delay: { for: ... }`"),
    ("steps:\n  - id: h\n    timeout: 1s\n    http: http://x\n" + ANSWER, "shape", (4, 5), "`http: { url: ... }`"),
    ("steps:\n  - { id: o, operation: x }\n" + ANSWER, "shape", (2, 14), "{ project: ..., operation: ... }`"),
    ("steps:\n  - { id: d, retry: 3, delay: { for: 1s } }\n" + ANSWER, "shape", (2, 14), "`retry: { attempts: 3 }`"),
    ("steps:\n  - { id: d, if: true, delay: { for: 1s } }\n" + ANSWER, "shape", (2, 14), 'a text, in quotes: "true"'),
    (BRANCH.replace("'true'", "1") % "{ id: x, delay: { for: 1s } }" + ANSWER, "shape", (4, 7), 'in quotes: "1"'),
    (LOOP % "{ id: b, break: always }", "shape", (6, 20), "`break` takes no settings"),
    ("steps:\n  - { id: h, if: x, htp: { url: 'http://x' } }\n" + ANSWER, "shape", (2, 5),
     "this one has none; 'htp' is none, perhaps 'http' is meant"),
    ("steps:\n  - { id: l, loop: { over: [1], steps: [{ id: x, transform: { value: 1 } }] } }\n"
     "  - { id: t, transform: { value: '{% steps.x %}' } }\n" + ANSWER, "step-order", (3, 27),
     "'x' stands in a loop, whose passes keep theirs: `steps.l` has what each of them collects"),
    *((f"steps:\n  - {{ id: t, transform: {{ value: '{{% {text} %}}' }} }}\n" + ANSWER, "expression", (2, 27),
       f"for `{wrong}` JSONata has `{right}`") for text, wrong, right in (
        ("trigger.body == 1", "==", "="), ("trigger.body !== 1", "!==", "!="), ("1 && trigger.body", "&&", "and"),
        ("trigger.ip || 1", "||", "or"), ("!trigger.body", "!", "$not(...)"))),
    ("steps:\n  - { id: h, csv: { text: a } }\n" + ANSWER, "shape", (2, 5),
     "'csv' is none, unless its connector's package is installed here"),
    ("steps:\n  - { id: d, delay: {} }\n" + ANSWER, "shape", (2, 5), "either `for` or `until`"),
    ("steps:\n  - { id: d, retry: { attempts: 1 }, stop: }\n" + ANSWER, "shape", (2, 23), "greater than or equal to 2"),
], ids=lambda value: None if isinstance(value, str | tuple) else str(value))
def test_each_mistake_is_told_with_its_place(workflow: str, code: str, place: tuple[int, int], says: str) -> None:
    found = only(workflow)
    assert (found.code, (found.line, found.column)) == (code, place)
    assert says in found.message


def test_file_that_is_too_large_is_not_read() -> None:
    found = only("steps: # " + "x" * 1_000_000 + "\n" + ANSWER)
    assert (found.code, found.line, found.column) == ("file-too-large", 1, 1)


def test_deleted_workflow_is_refused_with_all_who_use_it() -> None:
    call = "steps:\n  - { id: c, call: { workflow: gone } }\n" + ANSWER
    nested = LOOP % "{ id: c, call: { workflow: gone } }"
    found = problems(call, other=nested)
    assert [(one.file, one.code, one.line) for one in found if one.code == "dangling"] == [
        ("workflows/other.yaml", "dangling", 6), ("workflows/w.yaml", "dangling", 2)]


@pytest.mark.parametrize("around", [
    PARALLEL, LOOP.replace("over: [1]", "over: [1]\n      concurrency: 2")], ids=["parallel", "concurrent loop"])
@pytest.mark.parametrize("leap", ["break", "continue"])
def test_loop_that_runs_beside_others_may_be_ended_by_its_own_steps(around: str, leap: str) -> None:
    assert problems(around % f"{{ id: i, loop: {{ over: [1], steps: [{{ id: s, {leap}: }}] }} }}") == []


STEP = "steps:\n  - { id: s, %s }\n" + ANSWER


@pytest.mark.parametrize(("step", "column", "says"), [
    ("http: { url: 'ftp://x' }", 22, "calls http and https, not ftp"),
    ("http: { url: no url }", 22, "begins with http:// or https://"),
    ("http: { url: 'http://x', binary: 'not base64!' }", 39, "`binary` of an http step is not base64"),
    ("http: { url: 'http://x', multipart: { f: { base64: '?' } } }", 52, "`multipart.f.base64` of an http step"),
    ("delay: { until: tomorrow }", 23, "like 2030-01-31T08:00:00Z, or an expression"),
    ("delay: { until: '2030-01-31T08:00:00' }", 23, "a time with its zone"),
    ("delay: { for: 10d }", 23, "the longest for 300 seconds; `run_timeout`"),
    ("loop: { over: abc, steps: [{ id: x, delay: { for: 1s } }] }", 22, "over an array or an object, not over a text"),
    ("storage: { action: increment, key: k, value: abc }", 52, "takes a whole number, not 'abc'"),
    ("storage: { action: increment, key: k, value: 1.5 }", 52, "takes a whole number, not '1.5'"),
    ("publish: { topic: weir.config, value: 1 }", 25, "a topic of Weir's own"),
    ("publish: { topic: weir.new, value: 1 }", 25, "a topic of Weir's own"),
    ("storage: { key: k, value: 1 }", 33, "`get` takes no `value`, and would not write it; `action: set` does"),
    ("storage: { action: delete, key: k, value: 1 }", 49, "`delete` takes no `value`"),
    ("storage: { action: set, key: k }", 25, "`set` needs a `value`; `delete` forgets the key"),
    ("storage: { action: append, key: k }", 25, "`append` needs a `value`"),
    ("retry: { on: [503, timeuot] }, transform: { value: 1 }", 33, "'timeuot', perhaps 'timeout' is meant. There are"),
    ("retry: { on: [6xx] }, transform: { value: 1 }", 28, "classes of them like 5xx, and the kinds address-refused,"),
    ("branch: { if: 'true', then: [{ id: x, if: 'true', reply: { headers: { Content-Type: csv } } }] }", 84,
     "a media type, like text/plain"),
    ("branch: { if: 'true', then: [{ id: x, publish: { topic: weir.audit, value: 1 } }] }", 63, "Weir's own")])
def test_constant_with_which_a_step_can_only_fail_is_told_with_its_place(step: str, column: int, says: str) -> None:
    found = only(STEP % step)
    assert (found.code, found.line, found.column) == ("shape", 2, column)
    assert says in found.message


@pytest.mark.parametrize(("step", "column", "says"), [
    ("transform: { value: '{% trigger.body' }", 27, "begins here and does not end: write {% trigger.body.name %}"),
    ("transform: { value: { a: ['x', '{% 1 %} {% 2'] } }", 45, "begins here and does not end"),
    ("if: '{% trigger.body', transform: { value: 1 }", 14, "begins here and does not end"),
    ("transform: { value: 1 }, fallback: '{{ trigger.body }}'", 39, "an expression is written {% trigger.body %}"),
    ("http: { url: 'http://x/{{ trigger.path.n }}' }", 22, "an expression is written {% trigger.path.n %}"),
    ("transform: { value: '={{ $json.name }}' }", 27, "an expression is written {% $json.name %}"),
    ("http: { url: 'http://x', body: { a: ' {{x}} ' } }", 47, 'an expression give it: {% "{{x}}" %}'),
    ("if: '{{ trigger.body }}', transform: { value: 1 }", 14, "an expression is written {% trigger.body %}"),
    ("script: { code: 'return \"{% trigger.body %}\"' }", 24, "by its `input`"),
    ("fail: { message: x, error: '{% trigger.body %}' }, if: 'true'", 34, "what differs stands in `message`"),
    ("http: { url: 'http://x', proxy: 'http://{% trigger.body %}' }", 39, "write its URL"),
    ("transform: { value: { a: [{ '{% trigger.body %}': 1 }] } }", 42, '"{% {trigger.body.name: 1} %}"'),
    ("switch: { value: a, cases: { '{% trigger.body %}': [{ id: x, delay: { for: 1s } }] } }", 43, "a case is a text")])
def test_text_that_was_meant_as_an_expression_is_told_with_what_to_write(step: str, column: int, says: str) -> None:
    found = only(STEP % step)
    assert (found.code, found.line, found.column) == ("expression", 2, column)
    assert says in found.message


@pytest.mark.parametrize("text", [
    "{% '{{ name }}' %}", "{% '{%' %}", "dear {{ name }},", "dear {{ trigger }}", "{% '{{ trigger.body }} ' %}",
    "{{ a }}{{ b }}", "100%}", "{{}", "{% {'a': {}} %}"])
def test_text_for_somebody_else_is_no_problem(text: str) -> None:
    assert problems(STEP % f"http: {{ url: 'http://x', body: {json.dumps(text)} }}") == []


@pytest.mark.parametrize("step", [
    "http: { url: 'http://x', multipart: { f: { base64: '{% trigger.body %}' }, g: [{ base64: YQ== }, a], h: null } }",
    "http: { url: '{% trigger.body %}', binary: YQ== }", "http: { url: 'ftp:{% trigger.body %}' }",
    "delay: { until: '2030-01-31T08:00:00Z' }", "delay: { until: '{% trigger.body %}' }", "delay: { for: 299s }",
    "loop: { over: {a: 1}, steps: [{ id: x, delay: { for: 1s } }] }",
    "loop: { over: null, steps: [{ id: x, delay: { for: 1s } }] }",
    "loop: { while: 'true', steps: [{ id: x, delay: { for: 1s } }] }",
    "storage: { action: increment, key: k }", "storage: { action: increment, key: k, value: -2.0 }",
    "storage: { action: increment, key: k, value: '{% 1 %}' }", "storage: { action: set, key: k, value: abc }",
    "storage: { action: set, key: k, value: null }", "retry: { on: [404, 5xx, timeout, too-deep] }, delay: { for: 1s }",
    "publish: { topic: weirder, value: 1 }",
    "branch: { if: 'true', then: [{ id: x, if: 'true', reply: { headers: { content-type: text/csv;a=b } } }] }",
    "branch: { if: 'true', then: [{ id: x, if: 'true', reply: { headers: { content-type: '{% 1 %}' } } }] }"])
def test_constant_that_may_do_and_value_that_nobody_knows_yet_are_no_problem(step: str) -> None:
    assert problems(STEP % step) == []


@pytest.mark.parametrize(("operation", "called", "long"), [
    ("", "", True), (", run_timeout: 20m", "", False), (", run_timeout: 10m", "", True),
    (", mode: fire_and_forget", "", True), ("", "steps:\n  - { id: c, call: { workflow: w } }\n" + ANSWER, False)])
def test_delay_is_too_long_where_no_operation_with_its_workflow_runs_for_so_long(
        operation: str, called: str, long: bool) -> None:
    found = load_project({
        "weir.yaml": "name: p\n", "workflows/w.yaml": STEP % "delay: { for: 15m }",
        "operations.yaml": f"operations: [{{ name: o, method: GET, path: /, workflow: w{operation} }}]",
        **({"workflows/other.yaml": called} if called else {})}).problems
    assert [one.code for one in found] == (["shape"] if long else [])


@pytest.mark.parametrize(("expression", "name"), [
    ("$nosuch(1)", "nosuch"), ("$map([1], $nosuch)", "nosuch"), ("trigger.body ~> $sun", "sun"), ("$body.x", "body")])
def test_name_that_nobody_gives_is_told_with_its_place(expression: str, name: str) -> None:
    found = only(STEP % f"transform: {{ value: '{{% {expression} %}}' }}")
    assert (found.code, found.line, found.column) == ("unknown-name", 2, 27)
    assert f"${name} is read here" in found.message
    found = only(STEP % f"if: '{expression}', delay: {{ for: 1s }}")
    assert (found.code, found.line, found.column) == ("unknown-name", 2, 14)


@pytest.mark.parametrize("expression", [
    "( $f := function($n) { $n < 1 ? 0 : $f($n - 1) }; $f(3) )", "trigger.body@$x.y[$x.z = 1]", "$eval(trigger.body)",
    "trigger.body#$i.$string($i)", "trigger.body ~> $uppercase ~> $trim", "$map([1], $string)", "$$.trigger.body & $"])
def test_name_that_jsonata_or_the_expression_gives_is_no_problem(expression: str) -> None:
    assert problems(STEP % f"transform: {{ value: '{{% {expression} %}}' }}") == []


@pytest.mark.parametrize("condition", ["trigger.body", "{% trigger.body %}", " {% trigger.body %} "])
def test_condition_is_one_expression_with_or_without_its_braces(condition: str) -> None:
    assert problems(BRANCH.replace("'true'", f"'{condition.replace('%', '%%')}'") % "{ id: x, delay: { for: 1s } }"
                    + ANSWER) == []


@pytest.mark.parametrize(("given", "says"), [
    ("{ sku: 1 }", "/sku"), ("", "type"), ("{ pieces: '{% 1 %}' }", "'sku' is missing"),
    ("{ sku: '{% 1 %}', more: 1 }", "'more' is none of its members"), ("{ sku: a }", None), ("'{% {} %}'", None)])
def test_changed_workflow_is_refused_with_the_calls_that_no_longer_fit(given: str, says: str | None) -> None:
    called = ("input: { type: object, required: [sku], additionalProperties: false, "
              "properties: { sku: { type: string }, pieces: {} } }\nsteps:\n" + ANSWER)
    found = problems("steps:\n  - { id: c, call: { workflow: a" + (f", input: {given}" if given else "") + " } }\n"
                     + ANSWER, a=called)
    assert [(one.file, one.code, one.line) for one in found] == ([("workflows/w.yaml", "misfit", 2)] if says else [])
    assert all(str(says) in one.message for one in found)


def test_name_that_fits_a_pattern_is_one_of_the_members() -> None:
    called = "input: { type: object, additionalProperties: false, patternProperties: { ^x: {} } }\nsteps:\n" + ANSWER
    assert problems("steps:\n  - { id: c, call: { workflow: a, input: { xy: '{% 1 %}' } } }\n" + ANSWER, a=called) == []


@pytest.mark.parametrize("schema", ["{ type: object, required: 5 }",
                                    "{ type: object, additionalProperties: false, properties: null }"])
@pytest.mark.parametrize("given", ["{ x: '{% 1 %}' }", "{ x: 1 }"])
def test_call_of_a_workflow_whose_input_is_no_schema_is_told_at_the_schema(schema: str, given: str) -> None:
    found = problems("steps:\n  - { id: c, call: { workflow: a, input: " + given + " } }\n" + ANSWER,
                     a=f"input: {schema}\nsteps:\n" + ANSWER)
    assert [(one.file, one.code, one.line) for one in found] == [("workflows/a.yaml", "schema", 1)]


@pytest.mark.parametrize(("reads", "says"), [
    ("steps.c.gone", "steps.c.gone"), ("steps.c.inner.gone & ''", "steps.c.inner.gone"),
    ("( $a := steps.c; $a.gone )", "steps.c.gone"), ("$map(steps.c.lines, function($i) { $i.x })", None),
    ("steps.c.open.gone", None), ("steps.c.sku", None), ("steps.c", None), ("$exists(steps.c.gone)", None),
    ("trigger.body.steps.c.gone", None), ("steps.*.gone", None)])
@pytest.mark.parametrize("place", ['transform: { value: "{%% %s %%}" }',
                                   'branch: { if: "%s", then: [{ id: t, transform: { value: 1 } }] }'])
def test_changed_workflow_is_refused_with_the_reads_of_what_it_no_longer_gives(
        reads: str, says: str | None, place: str) -> None:
    called = ("output: { type: object, additionalProperties: false, properties: { sku: {}, lines: {}, open: {}, inner: "
              "{ type: object, additionalProperties: false, properties: { a: {} } } } }\nsteps:\n" + ANSWER)
    found = problems("steps:\n  - { id: c, call: { workflow: a } }\n  - { id: r, " + place % reads + " }\n" + ANSWER,
                     a=called)
    assert [(one.file, one.code, one.line) for one in found] == ([("workflows/w.yaml", "misfit", 3)] if says else [])
    assert all(f"{says} is read here" in one.message for one in found)


@pytest.mark.parametrize("more", [", fallback: { gone: 1 }", ""])
@pytest.mark.parametrize("output", ["{ type: object, additionalProperties: false, patternProperties: { '^g': {} } }",
                                    "{ additionalProperties: false }", "{ type: object }"])
def test_read_that_may_find_something_is_no_problem(more: str, output: str) -> None:
    closed = output if not more else "{ type: object, additionalProperties: false }"
    assert not problems("steps:\n  - { id: c, call: { workflow: a }" + more + " }\n"
                        "  - { id: r, transform: { value: '{% steps.c.gone %}' } }\n" + ANSWER,
                        a=f"output: {closed}\nsteps:\n" + ANSWER)


@pytest.mark.parametrize("reads", [
    "trigger.body.steps.zzz", "trigger.body.config.zzz", "trigger.body.errors.zzz", "'see steps.zzz'",
    "trigger.body[steps.zzz = 1]", "trigger.body.lines.{'n': n}", "$map(trigger.body.lines, function($l) { $l.zzz })",
    "( $steps := trigger.body; $steps.zzz )", "trigger.body.x ? 1 : undefined", "trigger.path.loop.item & execution.id",
    "$keys(steps)", "steps.*.zzz", "config", "$lookup(steps, trigger.body.x)", "$eval('steps.zzz')", "**.zzz",
    "trigger.body ~> |lines|{'m': n}|", "trigger.body.lines^(n)", "trigger.body.lines{n: $sum(m)}", "[1..3].(zzz)"])
@pytest.mark.parametrize("calls", ["", "  - { id: c, call: { workflow: a } }\n"])
def test_name_that_reads_no_step_is_no_problem(reads: str, calls: str) -> None:
    called = "output: { type: object, additionalProperties: false }\nsteps:\n" + ANSWER
    text = "steps:\n" + calls + "  - { id: r, transform: { value: \"{% " + reads + " %}\" } }\n" + ANSWER
    assert problems(text, **({"a": called} if calls else {})) == []


@pytest.mark.parametrize(("reads", "code", "says"), [
    ("$lookup(steps, 'zz')", "step-order", "steps.zz is read here"), ("steps.`zz`", "step-order", "no step"),
    ("steps.'zz'", "step-order", "no step"), ("trigger.body[$$.steps.zz = 1]", "step-order", "no step"),
    ("( $s := steps; $s.answer )", "step-order", "a later step"), ("$lookup(config, 'zz')", "dangling", "config.zz"),
    ("errors.`zz`", "step-order", "errors.zz"), ("tigger.body", "unknown-name", "tigger is read here"),
    ("trigger.body & env.HOME", "unknown-name", "env is read here"), ("$exists(step.x)", "unknown-name", "step is")])
def test_name_that_is_not_there_is_told_however_it_is_written(reads: str, code: str, says: str) -> None:
    found = only("steps:\n  - { id: r, transform: { value: \"{% " + reads + " %}\" } }\n" + ANSWER)
    assert (found.code, found.line, found.column) == (code, 2, 27)
    assert says in found.message


HTTP = "  - { id: h, http: { url: 'http://x' } }\n"
CAUGHT = "  - { id: e, on_error: continue, transform: { value: 1 } }\n"
INNER = ("  - { id: l, loop: { over: [1], steps: [{ id: i, on_error: continue, transform: { value: 1 } }, "
         "{ id: j, transform: { value: '{% errors.i.kind %}' } }] } }\n")


@pytest.mark.parametrize(("before", "reads", "says"), [
    ("", "trigger.querry.page", "trigger.querry is read here, and trigger has body, query,"),
    ("", "trigger.headers.`X-Key`", "trigger.headers.X-Key is read here, and names of headers are in lower case"),
    ("", "trigger.headers.x-key", "a name with a dash stands in backquotes: `x-key`"),
    ("", "execution.name", "execution.name is read here, and execution has id,"),
    ("", "loop.item", "no loop stands around this"),
    (HTTP, "steps.h.statusCode", "steps.h.statusCode is read here, and the step gives status, headers, body only"),
    (HTTP, "steps.h.headers.ETag", "steps.h.headers.ETag is read here"),
    (HTTP, "errors.h.kind", "'h' does not handle its errors"),
    (CAUGHT, "errors.e.code", "errors.e.code is read here, and errors.e has kind, step,"),
    (INNER, "errors.i.kind", "'i' stands in a loop"),
    ("  - { id: p, parallel: { branches: { a: [{ id: x, transform: { value: 1 } }] } } }\n", "steps.p.b",
     "steps.p.b is read here, and the step gives its branches only: a")])
def test_member_that_is_never_there_is_told(before: str, reads: str, says: str) -> None:
    found = only("steps:\n" + before + "  - { id: r, transform: { value: \"{% " + reads + " %}\" } }\n" + ANSWER)
    assert (found.line, found.column) == (3 if before else 2, 27)
    assert says in found.message


@pytest.mark.parametrize(("loop", "says"), [
    ("over: [1], concurrency: 2, steps: [{ id: i, transform: { value: '{% loop.last %}' } }]", "loop.last is read"),
    ("over: [1], collect: '{% loop.value %}', steps: [{ id: i, transform: { value: 1 } }]", "loop.value is read"),
    ("over: '{% loop.item %}', steps: [{ id: i, transform: { value: 1 } }]", "no loop stands around this"),
    ("while: loop.index < 2, steps: [{ id: i, transform: { value: '{% loop.item %}' } }]", "loop.item is read"),
    ("while: loop.key < 2, steps: [{ id: i, transform: { value: 1 } }]", "loop.key is read"),
    ("over: [1], collect: '{% loop.outer ? loop.index & errors.i.kind : loop.item %}', steps: [{ id: i, fallback: 1, "
     "transform: { value: '{% loop.last %}' } }]", None)])
def test_loop_has_what_its_kind_has(loop: str, says: str | None) -> None:
    found = problems("steps:\n  - { id: l, loop: { " + loop + " } }\n" + ANSWER)
    assert [says in one.message for one in found] == ([True] if says else [])


@pytest.mark.parametrize(("before", "reads"), [
    (HTTP.replace("h, ", "h, fallback: { zz: 1 }, "), "steps.h.zz"), (HTTP, "$merge([steps.h, {'zz': 1}]).zz"),
    (HTTP, "$exists(steps.h.zz)"), (HTTP, "steps.h.body.zz & steps.h.headers.etag"),
    (CAUGHT, "errors.e.kind & errors.e.attempt"), ("", "trigger.headers.`x-key`"), ("", "trigger.body.lines@$l.zz"),
    ("  - { id: b, branch: { if: 'true', then: [{ id: x, on_error: continue, transform: { value: 1 } }] } }\n",
     "errors.x.kind")])
def test_member_that_may_be_there_is_no_problem(before: str, reads: str) -> None:
    assert problems("steps:\n" + before + "  - { id: r, transform: { value: \"{% " + reads + " %}\" } }\n"
                    + ANSWER) == []


def test_circle_of_several_workflows_is_told_at_each_call() -> None:
    call = "steps:\n  - { id: c, call: { workflow: %s } }\n" + ANSWER
    found = problems(call % "a", a=call % "b", b=call % "a")
    assert [(one.file, one.code) for one in found] == [("workflows/a.yaml", "cycle"), ("workflows/b.yaml", "cycle")]


@pytest.mark.parametrize("workflow", [
    BRANCH % "{ id: r, reply: {} }" + "      else:\n        - { id: f, fail: { message: no } }\n",
    "steps:\n  - id: s\n    switch: { value: x, cases: { a: [{ id: r1, reply: {} }] }, default: [{ id: r2, "
    "reply: {} }] }\n",
    "steps:\n  - id: f\n    fail: { message: x }\n    catch: [{ id: r, reply: {} }]\n",
    "steps:\n  - id: l\n    loop: { over: [1], collect: '{% steps.x %}', steps: [{ id: x, transform: { value: 1 } }] }"
    "\n" + ANSWER,
    BRANCH % "{ id: x, transform: { value: 1 } }" + ANSWER.replace("body: 1", "body: '{% steps.x %}'"),
], ids=["both ways answer", "all cases answer", "catch answers", "collect reads the pass", "output of a branch"])
def test_sound_workflow_has_no_problem(workflow: str) -> None:
    assert problems(workflow) == []


@pytest.mark.parametrize(("operation", "workflow", "says"), [
    ("mode: events", "durable: true\n", "hears them now, or never"),
    ("run_timeout: 2h", "", "only a durable workflow may run for longer than 30 minutes"),
])
def test_mode_and_times_of_an_operation_fit_its_workflow(operation: str, workflow: str, says: str) -> None:
    operations = f"operations:\n  - {{ name: o, method: GET, path: /, workflow: w, {operation} }}\n"
    found = load_project({"weir.yaml": "name: p\n", "operations.yaml": operations,
                          "workflows/w.yaml": f"{workflow}steps:\n{ANSWER}"}).problems
    assert [(one.file, one.line) for one in found] == [("operations.yaml", 2)]
    assert says in found[0].message


def test_durable_workflow_with_a_mistake_is_not_said_to_be_none() -> None:
    operations = "operations:\n  - { name: o, method: GET, path: /, workflow: w, run_timeout: 2h }\n"
    found = load_project({"weir.yaml": "name: p\n", "operations.yaml": operations,
                          "workflows/w.yaml": f"durable: true\nsteps:\n  - {{ id: d, delay: {{ for: x }} }}\n{ANSWER}"})
    assert [one.file for one in found.problems] == ["workflows/w.yaml"]


def test_reply_that_is_declared_without_its_status_is_told_of_once() -> None:
    operations = "operations:\n  - { name: o, method: GET, path: /, workflow: w, replies: { sold-out: {} } }\n"
    found = load_project({"weir.yaml": "name: p\n", "operations.yaml": operations,
                          "workflows/w.yaml": "steps:\n  - { id: r, reply: { name: sold-out } }\n"})
    assert [(one.file, "needs a status" in one.message) for one in found.problems] == [("operations.yaml", True)]


def test_events_of_a_called_workflow_are_its_callers() -> None:
    called = "steps:\n  - { id: e, emit: { data: 1 } }\n"
    calls = "steps:\n  - { id: c, call: { workflow: a } }\n" + ANSWER
    assert [one.file for one in problems(calls, a=called)] == ["workflows/a.yaml"]
    operations = OPERATIONS.replace("workflow: w", "workflow: w, mode: events")
    assert load_project({"weir.yaml": "name: p\n", "operations.yaml": operations, "workflows/w.yaml": calls,
                         "workflows/a.yaml": called}).problems == ()


def test_called_workflow_need_not_reply() -> None:
    silent = "steps:\n  - { id: x, transform: { value: 1 } }\n"
    assert problems("steps:\n  - { id: c, call: { workflow: a } }\n" + ANSWER, a=silent) == []


@pytest.mark.parametrize("mode", ["validate", "fire_and_forget", "events"])
def test_stop_is_no_problem_where_nobody_waits_for_a_reply(mode: str) -> None:
    operations = OPERATIONS.replace("workflow: w", f"workflow: w, mode: {mode}")
    assert load_project({"weir.yaml": "name: p\n", "operations.yaml": operations,
                         "workflows/w.yaml": BRANCH % "{ id: s, stop: }" + ANSWER}).problems == ()


def test_stop_of_a_called_workflow_ends_that_one_alone() -> None:
    assert problems("steps:\n  - { id: c, call: { workflow: a } }\n" + ANSWER,
                    a=BRANCH % "{ id: s, stop: }" + ANSWER) == []


def test_who_uses_a_workflow_is_not_known_while_others_are_malformed() -> None:
    stops = BRANCH % "{ id: s, stop: }" + ANSWER
    assert [one.file for one in problems("steps:\n" + ANSWER, a=stops)] == ["workflows/a.yaml"]
    assert [one.file for one in problems("steps:\n" + ANSWER, a=stops, b="steps: 1\n")] == ["workflows/b.yaml"]
    operations = OPERATIONS.replace("workflow: w", "workflow: w, mode: validate, timeout: 1")
    assert [one.file for one in load_project({"weir.yaml": "name: p\n", "operations.yaml": operations,
                                              "workflows/w.yaml": stops}).problems] == ["operations.yaml"]


def test_document_comes_back_as_it_went() -> None:
    text = LOOP % ("{ id: x, timeout: 2s, retry: { attempts: 4, on: [sold-out] }, fallback: null, "
                   "call: { workflow: a } }")
    files = {"weir.yaml": "name: p\n", "operations.yaml": OPERATIONS, "workflows/w.yaml": text,
             "workflows/a.yaml": "steps:\n"
             "  - { id: f, fail: { message: x, error: sold-out }, catch: [{ id: s, stop: }] }\n"
             "  - { id: w, loop: { while: 'false', steps: [{ id: d, delay: { until: '{% 1 %}' } }] } }\n"
             "  - { id: h, http: { url: 'http://x', form: { a: null } } }\n"
             "  - { id: b, branch: { if: 'true', then: [{ id: g, storage: { key: k, ttl: 1s } }] } }\n"}
    project = load_project(files).project
    assert project is not None
    document: Any = project.to_document()
    assert type(project).model_validate(document) == project
    assert YAML(typ="safe").load(text)["steps"][0]["id"] == document["workflows"]["w"]["steps"][0]["id"]
