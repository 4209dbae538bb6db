"""What is malformed is told in words of the file, with what to write instead, and without what stands there."""

import pytest

from shared.project.load import load_project

FILES = {
    "weir.yaml": "name: p\n", "operations.yaml": "operations: [{name: a, method: GET, path: /a, workflow: w}]\n",
    "workflows/w.yaml": "steps: [{id: answer, reply: {}}]\n"}
POLICY = "policies: [{name: x, action: %s, %s}]\n"
BRACKETS = "has to be a list; in [ ] it is one"
ITEMS = "has to be a list, and is a mapping; each item of a list begins with `- `, or stands in [ ]"
TESTS = "is, is_not, in, not_in, matches, starts_with, exists, <, <=, >, >="
RULES = "authenticated, role, client, ip, header, query, body, claim, method, time, size, when"
MISTAKES = [
    (POLICY % ("reject", "rule: []"), "policies.0: unknown key 'rule', perhaps 'rules' is meant; here may stand "
     "operations, name, description, action, mode, rules, limits, status, message"),
    (POLICY % ("reject", "rules: [{rolle: a}]"), "policies.0.rules.0: unknown key 'rolle', perhaps 'role' is meant; "
     f"here may stand {RULES}"),
    (POLICY % ("reject", "rules: [{role: {equals: a}}]"),
     f"policies.0.rules.0.role: unknown key 'equals'; here may stand {TESTS}"),
    (POLICY % ("reject", "rules: {role: a}"), f"policies.0.rules: {ITEMS}"),
    (POLICY % ("reject", "rules: deny"), f"policies.0.rules: {BRACKETS}"),
    (POLICY % ("reject", "rules: [deny]"), f"policies.0.rules.0: has to be a mapping with {RULES}"),
    (POLICY % ("reject", "rules: [{header: x-a}]"),
     f"policies.0.rules.0.header: has to be a mapping with {TESTS}, name"),
    (POLICY % ("reject", "rules: [{header: {is: a}}]"), "policies.0.rules.0.header: `name` is missing"),
    (POLICY % ("reject", "rules: [{header: {name: a, is: [b, c]}}]"), "policies.0.rules.0.header.is: has to be a text "
     "or a number or true or false; `in` takes a list"),
    (POLICY % ("reject", "rules: [{header: {name: a, matches: 5}}]"),
     "policies.0.rules.0.header.matches: has to be a text; in quotes it is one"),
    (POLICY % ("reject", "rules: [{header: {name: a, '>': b}}]"), "policies.0.rules.0.header.>: has to be a number"),
    (POLICY % ("reject", "rules: [{ip: {in: 10.0.0.0/8}}]"), f"policies.0.rules.0.ip.in: {BRACKETS}"),
    (POLICY % ("reject", "rules: [{time: {zone: UTC, from: '8:00'}}]"),
     "policies.0.rules.0.time.from: has to be a time of day with four digits: \"08:00\""),
    (POLICY % ("reject", "rules: [{body: {at: amount, is: 5}}]"),
     "policies.0.rules.0.body.at: has to be a JSON pointer: /amount, /items/0/sku, or nothing for the whole"),
    (POLICY % ("reject", "operations: []"), "policies.0.operations: may not be empty"),
    (POLICY % ("reject", "operations: [A_b]"),
     "policies.0.operations.0: has to be the name of an operation, or one with `*`: create-*"),
    (POLICY % ("deny", "rules: []"), "policies.0.action: has to be 'accept' or 'reject'"),
    (POLICY % ("reject", "status: 500"), "policies.0.status: has to be less than or equal to 499"),
    (POLICY % ("reject", "status: forbidden"), "policies.0.status: has to be a whole number"),
    ("policies: [{action: reject}]\n", "policies.0: `name` is missing"),
    ("policies: [{name: My policy, action: reject}]\n", "policies.0.name: has to be a name: small letters and digits, "
     "a letter first, with single hyphens between them, as fair-use"),
    ("policies: {x: {action: reject}}\n", f"policies: {ITEMS}"),
    (POLICY % ("accept", "limits: [{limit: 5}]"),
     "policies.0.limits.0: a limit is `limit` and `per` (100 per minute), or `concurrent`"),
    (POLICY % ("accept", "limits: {limit: 5, per: day}"), f"policies.0.limits: {ITEMS}"),
    (POLICY % ("accept", "limits: [{limit: '5', per: day}]"),
     "policies.0.limits.0.limit: has to be a whole number; without quotes it is one"),
    (POLICY % ("accept", "limits: [{limit: 5, per: day, by: user}]"), "policies.0.limits.0.by.0: has to be client, "
     "role, ip, token, operation, project, header:<name> or claim:<name>"),
    (POLICY % ("accept", "limits: [{limit: 5, per: day, cost: 1.5}]"),
     "policies.0.limits.0.cost: has to be a text or a whole number"),
    ("bounds: [{body: 5 parsecs}]\n", "bounds.0.body: a size is a number of bytes, or has a unit: 500, 8KB, 1MB"),
    ("abuse: {path_scan: {within: 2h}}\n", "abuse.path_scan.within: has to be 1h at the most"),
    ("abuse: {path_scan: {within: 1500ms}}\n", "abuse.path_scan.within: has to be 30s at the least"),
    ("abuse: {path_scan: {paths: 0}}\n", "abuse.path_scan.paths: has to be greater than or equal to 2"),
    ("networks: [10.0.0.0/8]\n", "networks: has to be a mapping"),
    ("cors: [{origins: []}]\n", "cors.0.origins: may not be empty")]


@pytest.mark.parametrize(("access", "told"), MISTAKES, ids=[told[:60] for _, told in MISTAKES])
def test_mistake_is_told_in_words_that_say_what_to_write(access: str, told: str) -> None:
    assert [problem.message for problem in load_project({**FILES, "access.yaml": access}).problems] == [told]


def test_secret_that_stands_where_its_name_should_is_not_said() -> None:
    access = "clients: [{name: a}]\nauthentication: {signature: [{client: a, secret: whsec_c2VjcmV0}]}\n"
    [problem] = load_project({**FILES, "access.yaml": access}).problems
    assert "the name of a secret, not the secret" in problem.message
    assert "c2VjcmV0" not in problem.message


@pytest.mark.parametrize(("step", "told"), [
    ("{id: a, repyl: 5, reply: {}}", "steps.0: unknown key 'repyl' in a step, or in the settings of its kind; beside "
     "the kind may stand id, if, timeout, retry, on_error, fallback, catch, mask, and `weir schema` prints"),
    ("{id: a, reply: {code: 200}}", "steps.0: unknown key 'code' in a step, or in the settings of its kind;"),
    ("{id: a, reply: {retry: {attempts: 3}}}",
     "steps.0: 'retry' is no setting of a step's kind: it stands beside that, as `id` does")])
def test_key_of_a_step_that_nobody_knows_is_told_without_the_keys_of_its_kind(step: str, told: str) -> None:
    [problem] = load_project({**FILES, "workflows/w.yaml": f"steps: [{step}]\n"}).problems
    assert problem.message.startswith(told)
