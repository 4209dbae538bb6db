"""Every mistake in access.yaml is told with its place."""

import json

import pytest

from shared.project.load import load_project
from shared.project.places import read
from shared.project.schema import project_schema
from shared.project.schemas import compile_schema

FILES = {
    "weir.yaml": "name: p\n",
    "operations.yaml": "operations:\n  - {name: get-a, method: GET, path: /a, workflow: w}\n"
                       "  - {name: put-a, method: PUT, path: /a, workflow: w}\n",
    "workflows/w.yaml": "steps:\n  - id: answer\n    reply: {body: 1}\n"}
POLICY = "policies:\n  - name: guard\n    action: reject\n"
LIMIT = POLICY.replace("reject", "accept") + "    limits: [{limit: "
# text of access.yaml, code, line and column, part of the message
CASES = [
    (POLICY + "    operations: [get-b]\n", "dangling", (4, 18), "there is no operation 'get-b'"),
    (POLICY + "    operations: [get-a, 'x-*']\n", "dangling", (4, 25), "no operation matches 'x-*'"),
    (POLICY + "    rules:\n      - ip: 10.0.0.0/33\n", "rule", (5, 9), "is no network"),
    (POLICY + "    rules:\n      - ip: [10.0.0.0/8, 10.0.0.1/8]\n", "rule", (5, 9), "the network is 10.0.0.0/8"),
    (POLICY + "    rules:\n      - ip: {in: [office]}\n", "rule", (5, 19), "'office' is no network"),
    (POLICY + "    rules:\n      - header: {name: x, matches: '(a'}\n", "rule", (5, 27), "missing )"),
    (POLICY + "    rules:\n      - header: {name: x, matches: '(a{1000}){1000}'}\n", "rule", (5, 27), "repetition"),
    (POLICY + "    rules:\n      - header: {name: x, matches: '(?=a)b'}\n", "rule", (5, 27), "perl operator"),
    (POLICY + "    rules:\n      - time: {zone: Mars/Crater, to: '08:00'}\n", "rule", (5, 16), "no time zone"),
    (POLICY + "    rules:\n      - time: {zone: UTC, to: '25:00'}\n", "shape", (5, 27), "to"),
    (POLICY + "    rules:\n      - time: {zone: UTC, from: '08:00', to: '08:00'}\n", "shape", (5, 9), "never hold"),
    (POLICY + "    rules:\n      - when: size + 'a' == 'b'\n", "rule", (5, 9), "no matching overload"),
    (POLICY + "    rules:\n      - when: size\n", "rule", (5, 9), "gives int"),
    (POLICY + "    rules:\n      - when: sise > 3\n", "rule", (5, 9), "undeclared reference to 'sise'"),
    (POLICY + "    rules:\n      - when: request.ip == '10.0.0.1'\n", "rule", (5, 9),
     "undeclared reference to 'request.ip' (in container '') (at 1:8 of the expression); an expression knows "
     "authenticated, body, claim, client, header, ip, method, now, operation, path, query, roles, size, source"),
    (POLICY + "    rules:\n      - when: size >\n", "rule", (5, 9), "Syntax error"),
    (POLICY + "    rules:\n      - when: 'method.matches(\"(\")'\n", "rule", (5, 9), "missing ): ( (at 1:16 of the"),
    (POLICY + "    rules:\n      - when: matches(method, '(a{1000}){1000}') || true\n", "rule", (5, 9), "repetition"),
    (POLICY + "    rules:\n      - when: |\n          true || // \"\n          method.matches(r'(\\d')\n",
     "rule", (5, 9), "`matches` cannot take r'(\\d': invalid regular expression: missing ): (\\d (at 2:16 of the"),
    (POLICY + "    rules:\n      - when: '[\"a\"].exists(x, now.getHours(\"Mars/Crater\") > 3)'\n", "rule", (5, 9),
     "`getHours` cannot take \"Mars/Crater\": Invalid timezone"),
    (POLICY + "    rules:\n      - when: now > timestamp('tomorrow')\n", "rule", (5, 9), "`timestamp` cannot take"),
    (POLICY + "    rules:\n      - when: now - now > duration('an hour')\n", "rule", (5, 9), "`duration` cannot take"),
    (POLICY + "    rules:\n      - when: 'false'\n", "never", (5, 9), "it is false for every call"),
    (POLICY + "    rules:\n      - when: '\"now\" == \"then\"'\n", "never", (5, 9), "false for every call"),
    (POLICY + "    rules:\n      - when: 1/0 == 1\n", "never", (5, 9), "divide by zero"),
    (POLICY + "    rules:\n      - authenticated: true\n      - size: {'>': 1}\n      - authenticated: false\n",
     "never", (7, 9), "asks for the opposite"),
    (POLICY + "    rules:\n      - client: {is: a, is_not: a}\n", "never", (5, 9), "all that it asks for it excludes"),
    (POLICY + "    rules:\n      - body: {at: /a, in: [1, b], not_in: [b, 1.0]}\n", "never", (5, 9), "it excludes"),
    (POLICY + "    rules:\n      - header: {name: X Y, exists: true}\n", "never", (5, 18), "no header is called 'X Y'"),
    (POLICY + "    rules:\n      - header: {name: x, is: 2.10}\n", "rule", (5, 27), "as 2.1; in quotes, \"2.10\""),
    (POLICY + "    rules:\n      - query: {name: x, not_in: [7, 007]}\n", "rule", (5, 38), "compared as 7; in quotes"),
    (POLICY + "    rules:\n      - client: 1e3\n", "rule", (5, 9), "compared as 1000.0; in quotes, \"1e3\""),
    (POLICY + "    rules:\n      - header: {name: x, is_not: True}\n", "rule", (5, 27), "compared as true; in quotes"),
    (POLICY + "    rules:\n      - role: owner\n", "dangling", (5, 9), "there is no role 'owner'"),
    ("authentication: {api_key: {header: Idempotency-Key}}\n", "shape", (1, 18), "says something else of a request"),
    (POLICY + "    rules:\n      - role: {is_not: owner}\n", "dangling", (5, 9), "no role 'owner'; `roles` has none"),
    (POLICY + "    rules:\n      - role: {not_in: [owner]}\n", "dangling", (5, 9), "there is no role 'owner'"),
    (POLICY + "    rules:\n      - method: {is_not: get}\n", "dangling", (5, 9), "no method 'get'; there is GET, HEAD"),
    (POLICY + "    rules:\n      - method: [GET, POTS]\n", "dangling", (5, 9), "there is no method 'POTS'"),
    (POLICY + "    rules:\n      - when: '\"X-Tenant\" in header'\n", "never", (5, 9), "lower case in CEL, 'x-tenant'"),
    (POLICY + "    rules:\n      - when: operation == 'get-b'\n", "dangling", (5, 9), "no operation 'get-b' that `op"),
    (POLICY + "    rules:\n      - when: method in ['GET', 'put']\n", "dangling", (5, 9), "there is no method 'put'"),
    (POLICY + "    rules:\n      - when: '\"http\" == source'\n", "dangling", (5, 9), "could say; there is edge, int"),
    (POLICY + "    rules:\n      - when: '\"owner\" in roles'\n", "dangling", (5, 9), "that `roles` could say"),
    (LIMIT + "5, per: minute, cost: \"method == 'get' ? 1 : 2\"}]\n", "dangling", (4, 38), "there is no method 'get'"),
    (POLICY + "    rules:\n      - size: {'>': 5, starts_with: a}\n", "never", (5, 9), "starts_with cannot be asked"),
    (POLICY + "    rules:\n      - size: {is: '10'}\n", "never", (5, 9), "is cannot be asked of a size"),
    (POLICY + "    rules:\n      - size: {not_in: [1, true]}\n", "never", (5, 9), "not_in cannot be asked of a size"),
    (POLICY + "    rules:\n      - size: {exists: false}\n", "never", (5, 9), "exists cannot be asked of a size"),
    (LIMIT.replace("limit: ", "concurrent: ") + "5, cost: size}]\n", "no-effect", (4, 30), "takes one place of"),
    ("headers:\n  - {require: [X-A], forbid: [x-b, x-a]}\n", "never", (2, 36), "x-a is under `require`, too"),
    (POLICY + "    rules:\n      - role: a\n        client: b\n", "shape", (5, 9), "has client, role"),
    (POLICY + "    rules:\n      - {}\n", "shape", (5, 9), "has none"),
    (POLICY + "    rules:\n      - rolle: a\n", "unknown-key", (5, 9), "unknown key 'rolle'"),
    (POLICY + "    rules:\n      - header: {name: x}\n", "shape", (5, 9), "say what to compare with"),
    (POLICY + "    rules:\n      - header: {name: x, '<': 1, '>': 1}\n", "shape", (5, 9), "nothing is above 1"),
    (POLICY + "    rules:\n      - header: {name: x, exists: false, is: a}\n", "shape", (5, 9), "never hold"),
    (POLICY + "    rules:\n      - method: POST\n", "never", (5, 9), "have the methods GET, PUT"),
    (POLICY + "    status: 200\n", "shape", (4, 5), "400"),
    (POLICY + "    status: wrong\n", "shape", (4, 5), "a whole number"),
    (POLICY.replace("reject", "accept") + "    message: no\n", "shape", (2, 5), "belong to a policy that rejects"),
    (POLICY.replace("reject", "refuse"), "shape", (3, 5), "'accept' or 'reject'"),
    (POLICY + "  - {name: guard, action: accept}\n", "duplicate", (4, 6), "policy 'guard' stands twice"),
    (LIMIT + "0, per: minute}]\n", "shape", (4, 15), "greater than or equal to 1"),
    (LIMIT + "5}]\n", "shape", (4, 14), "a limit is `limit` and `per`"),
    (LIMIT + "5, per: fortnight}]\n", "shape", (4, 25), "'second', 'minute'"),
    (LIMIT + "5, per: minute, by: moon}]\n", "shape", (4, 38), "by"),
    (LIMIT + "5, per: minute, cost: -1}]\n", "shape", (4, 38), "a cost is a number from 0"),
    (LIMIT + "5, per: minute, cost: 0 - 2}]\n", "rule", (4, 38), "a cost is not negative"),
    (LIMIT + "5, per: minute, cost: '\"a\"'}]\n", "rule", (4, 38), "gives string, and an integer is asked for"),
    (LIMIT + "5, per: minute, cost: 10 / 0}]\n", "rule", (4, 38), "`10 / 0` is no integer: INVALID_ARGUMENT: divide"),
    (LIMIT + "5, per: minute, cost: 1 % 0}]\n", "rule", (4, 38), "modulus by zero"),
    (LIMIT + "5, per: minute, cost: \"int('x')\"}]\n", "rule", (4, 38), "cannot convert"),
    (LIMIT + "5, per: minute, cost: \"dyn('x')\"}]\n", "rule", (4, 38), "is no integer: x"),
    (LIMIT + "5, per: minute, cost: dyn(null)}]\n", "rule", (4, 38), "is no integer: None"),
    (LIMIT + "5, per: minute, cost: 9223372036854775807+1}]\n", "rule", (4, 38), "overflow"),
    (LIMIT + "5, per: minute, cost: \"'size' == 'x' ? -5 : -4\"}]\n", "rule", (4, 38), "and this one is -4"),
    (LIMIT + "5, per: minute, cost: size('abc') - 6}]\n", "rule", (4, 38), "and this one is -3"),
    (LIMIT + "5, per: minute, cost: 6}]\n", "never", (4, 38), "each costs 6, and the limit is 5"),
    (LIMIT + "5, per: minute, cost: 2 * 3}]\n", "never", (4, 38), "each costs 6, and the limit is 5"),
    (LIMIT + "5, per: minute, burst: 2, cost: 3}]\n", "never", (4, 48), "each costs 3, and the bucket holds 2"),
    (LIMIT + "5, per: minute, smooth: true, cost: 6}]\n", "never", (4, 52), "no call is ever let in"),
    (LIMIT + "5, per: minute, cost: size + 1.5}]\n", "rule", (4, 38), "no matching overload"),
    (LIMIT + "5, per: minute, cost: \"now.getDate('Mars/Crater')\"}]\n", "rule", (4, 38), "Invalid timezone"),
    (LIMIT + "5, per: day, calendar: Mars/Crater}]\n", "rule", (4, 35), "no time zone"),
    (LIMIT + "5, per: minute, calendar: UTC}]\n", "shape", (4, 14), "a calendar period is one of hour"),
    (LIMIT + "5, per: minute, burst: 3, smooth: true}]\n", "shape", (4, 14), "exclude each other"),
    (LIMIT + "5, per: minute, concurrent: 3}]\n", "shape", (4, 14), "stands alone"),
    (LIMIT + "5, per: minute, name: a}, {concurrent: 3, name: a}]\n", "duplicate", (4, 64), "limit 'a' stands twice"),
    (LIMIT + "5, per: minute}, {concurrent: 3, name: guard}]\n", "duplicate", (4, 55), "limit 'guard' stands twice"),
    (LIMIT + "5, per: minute, name: guard-2}, {concurrent: 3}]\n", "duplicate", (4, 54), "is called 'guard-2', and"),
    (LIMIT + "5, per: day, name: a}]\n  - {name: b, action: accept, limits: [{limit: 5, per: day, name: a}]}\n",
     "duplicate", (5, 61), "policy 'guard' has one"),
    (POLICY + "    limits: [{limit: 5, per: minute}]\n", "shape", (2, 5), "belong to a policy that accepts"),
    (POLICY + "    status: 405\n", "rule", (4, 5), "has to say `Allow`"),
    (POLICY + "    status: 407\n", "rule", (4, 5), "has to say `Proxy-Authenticate`"),
    (POLICY + "    status: 426\n", "rule", (4, 5), "has to say `Upgrade`"),
    (POLICY + "    status: 429\n", "rule", (4, 5), "has to say `Retry-After`"),
    ("headers:\n  - match: {x-a: '('}\n", "rule", (2, 13), "missing )"),
    ("headers:\n  - answer: {set: {Content-Length: '1'}}\n", "shape", (2, 5), "belongs to the connection"),
    ("headers:\n  - require: ['x a']\n", "shape", (2, 15), "the name of a header"),
    ("headers:\n  - answer: {set: {x-a: \"a\\nb\"}}\n", "shape", (2, 20), "printable ASCII"),
    ("headers:\n  - require: [x-a, Idempotency-Key]\n", "unseen", (2, 20), "`idempotency: { required: true }`"),
    ("headers:\n  - forbid: [cookie]\n", "unseen", (2, 14), "the header cookie: the edge takes what proves a caller"),
    ("headers:\n  - match: {content-type: json}\n", "unseen", (2, 13), "by `content_types`"),
    ("headers:\n  - request: {remove: [x-a, x-api-key]}\n", "unseen", (2, 29), "the header x-api-key"),
    ("headers:\n  - request: {rename: {cookie: x-cookie}}\n", "unseen", (2, 24), "the header cookie"),
    (POLICY + "    rules:\n      - header: {name: Host, is: a.example}\n", "unseen", (5, 18), "it belongs to the"),
    (POLICY + "    rules:\n      - when: '\"cookie\" in header'\n", "unseen", (5, 9), "the header cookie"),
    (POLICY + "    rules:\n      - when: header[\"x-\" + \"y\"] == \"\" && header['prefer'] == ''\n", "unseen",
     (5, 9), "the header prefer"),
    (LIMIT + "5, per: minute, by: [ip, 'header:X-Api-Key']}]\n", "unseen", (4, 47), "count by client or token"),
    (LIMIT + "5, per: minute, by: 'header:authorization'}]\n", "unseen", (4, 38), "count by client or token"),
    (LIMIT + "5, per: minute, cost: 'size(header.te)'}]\n", "unseen", (4, 38), "the header te"),
    ("authentication: {api_key: {header: X-Key}}\n" + LIMIT + "5, per: minute, by: 'header:x-key'}]\n", "unseen",
     (5, 38), "count by client or token"),
    ("cors:\n  - origins: ['https://a.example/path']\n", "shape", (2, 15), "without a path"),
    ("cors:\n  - {origins: ['*'], credentials: true}\n", "shape", (2, 5), "named origins"),
    ("cors:\n  - {operations: [nothing], origins: ['*']}\n", "dangling", (2, 19), "no operation 'nothing'"),
    ("bounds:\n  - body: 5 parsecs\n", "shape", (2, 5), "byte"),
    ("bounds:\n  - json_depth: 0\n", "shape", (2, 5), "greater than or equal to 1"),
    ("authentication:\n  jwt: [{issuer: a, audience: b, jwks: 'http://far.example/keys'}]\n", "shape", (2, 34),
     "keys come from https"),
    ("authentication:\n  api_key: {}\n", "shape", (2, 3), "`header` or `query`"),
    ("authentication:\n  signature: [{client: nobody, secret: A}]\n", "dangling", (2, 16), "no client 'nobody'"),
    ("clients: [{name: a}, {name: b}]\nauthentication:\n  signature:\n    - {client: a, secret: A}\n"
     "    - {client: b, secret: A}\n", "duplicate", (5, 19),
     "A stands with client 'a' already: no message would be one of 'b'"),
    ("clients: [{name: a}]\nauthentication:\n  signature: [{client: a, secret: WEIR_SECRET_A}]\n", "rule", (3, 27),
     "write A: WEIR_SECRET_ is put before the name"),
    ("abuse:\n  webhook: {url: 'https://a.example/', secret: WEIR_SECRET_}\n", "rule", (2, 40), "write what comes"),
    ("authentication:\n  certificate: {CN=a: nobody}\n", "dangling", (2, 17), "no client 'nobody'"),
    ("networks:\n  office: [10.0.0.0/8, x]\n", "rule", (2, 24), "'x' is no network"),
    ("clients:\n  - {name: a, roles: [b]}\n", "dangling", (2, 15), "`roles` has none"),
    ("abuse:\n  acton: block\n", "unknown-key", (2, 3), "unknown key 'acton'"),
    ("abuse:\n  path_scan: {action: ban}\n", "shape", (2, 15), "'observe', 'throttle' or 'block'"),
    ("abuse:\n  path_scan: {paths: 1000}\n", "shape", (2, 15), "less than or equal to 50"),
    ("abuse:\n  hammering: {within: 1m, lasting: 2m}\n", "shape", (2, 3), "`lasting` is longer than `within`"),
    ("abuse:\n  error_payloads: {errors: 5, shapes: 9}\n", "shape", (2, 3), "`shapes` is more than `errors`"),
    ("abuse:\n  for: 900\n", "shape", (2, 3), "a duration is a number with a unit"),
    ("abuse:\n  exempt: {networks: [10.0.0.0/8, office]}\n", "rule", (2, 35), "'office' is no network"),
    ("abuse:\n  webhook: {url: 'http://far.example/', secret: A}\n", "shape", (2, 13), "over https"),
    ("abuse:\n  webhook: {url: 'https://a.example/'}\n", "shape", (2, 3), "`secret` is missing"),
]


@pytest.mark.parametrize(("text", "code", "where", "message"), CASES, ids=[case[3] for case in CASES])
def test_each_mistake_is_told_with_its_place(text: str, code: str, where: tuple[int, int], message: str) -> None:
    loaded = load_project({**FILES, "access.yaml": text})
    assert loaded.project is None
    found = [(problem.code, (problem.line, problem.column)) for problem in loaded.problems]
    assert found == [(code, where)], loaded.problems
    assert message in loaded.problems[0].message


def test_schema_of_an_operation_may_not_require_a_header_that_nobody_sees() -> None:
    operations = ("operations:\n  - name: get-a\n    method: GET\n    path: /a\n    workflow: w\n    input:\n"
                  "      headers: {required: [x-tenant, Idempotency-Key, x-key], properties: {host: {type: string}}}\n")
    loaded = load_project({**FILES, "operations.yaml": operations,
                           "access.yaml": "authentication: {api_key: {header: X-Key}}\n"})
    assert [(problem.code, problem.line, problem.column) for problem in loaded.problems] == [
        ("unseen", 7, 38), ("unseen", 7, 55)]


@pytest.mark.parametrize(("access", "there"), [
    ("authentication: {api_key: {header: X-Key}}\n", "api_key, token"), ("authentication: {token: false}\n", "none")])
def test_operation_may_ask_for_kinds_of_proof_that_are_set_up(access: str, there: str) -> None:
    operations = ("operations:\n  - {name: get-a, method: GET, path: /a, workflow: w, authentication: [jwt]}\n"
                  "  - {name: put-a, method: PUT, path: /a, workflow: w}\n")
    loaded = load_project({**FILES, "operations.yaml": operations, "access.yaml": access})
    assert [str(problem) for problem in loaded.problems] == [
        "operations.yaml:2:72: nobody can show a proof of the kind jwt: `authentication` in access.yaml sets up "
        f"{there} [dangling]"]
    keyed = load_project({**FILES, "operations.yaml": operations.replace("jwt", "api_key"),
                          "access.yaml": "authentication: {api_key: {header: X-Key}}\n"})
    assert keyed.problems == ()


@pytest.mark.parametrize(("role", "taken"), [
    ("orders:read", True), ("Orders.Read.All", True), ("offline_access", True), ("https://a.example/x?y", True),
    ("a,b", False), ("a b", False), ('a"b', False), ("a\\b", False), ("é", False), ("", False)])
def test_roles_may_be_called_as_issuers_of_tokens_call_them(role: str, taken: bool) -> None:
    text = json.dumps({"roles": [role], "clients": [{"name": "a", "roles": [role]}], "policies": [
        {"name": "p", "action": "reject", "rules": [{"role": {"is_not": role}}]}]})
    loaded = load_project({**FILES, "access.yaml": text})
    assert (loaded.problems == ()) is taken


def test_number_in_a_comparison_is_told_where_something_before_it_is_malformed() -> None:
    text = "policies:\n  - name: broken\n" + POLICY.partition("\n")[2] + "    rules:\n      - client: 0x1F\n"
    loaded = load_project({**FILES, "access.yaml": text})
    assert [(problem.line, problem.code) for problem in loaded.problems] == [(2, "shape"), (6, "rule")]


@pytest.mark.parametrize("rule", [
    "header: {name: x, in: [5, 1.5, 2.0, true, -3, a, '2.10']}", "body: {at: /a, is: 2.10}",
    "claim: {name: a, is: 007}", "size: {'>': 1e3}", "header: {name: x, '>': 2.10}"])
def test_number_may_be_spelled_as_it_likes_where_a_number_is_asked_for(rule: str) -> None:
    loaded = load_project({**FILES, "access.yaml": POLICY + f"    rules:\n      - {rule}\n"})
    assert loaded.problems == ()


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = ("networks: {a: [x, 10.0.0.0/8, y]}\n" + POLICY + "    operations: [none]\n    rules:\n"
            "      - ip: [a, z]\n"
            "      - when: size + 'a'\n      - role: owner\n  - name: b\n    action: accept\n"
            "    limits: [{limit: 1, per: day, calendar: Mars}, {limit: 1, per: day, name: c, cost: '\"a\"'}]\n")
    loaded = load_project({**FILES, "access.yaml": text})
    assert [(problem.line, problem.code) for problem in loaded.problems] == [
        (1, "rule"), (1, "rule"), (5, "dangling"), (7, "rule"), (8, "rule"), (9, "dangling"), (12, "rule"),
        (12, "rule")]


GOOD = """
roles: [reader]
clients:
  - {name: a, roles: [reader]}
authentication:
  api_key: {header: X-Key}
  jwt: [{issuer: a, audience: b, jwks: "file:///keys.json", clock_skew: 5s}]
  signature: [{client: a, secret: A_B, tolerance: 1m}]
  certificate: {"CN=a": a}
headers:
  - {require: [X-A], match: {x-a: "^b"}, content_types: ["application/*"], answer: {set: {X-B: c}, remove: [x-d]}}
cors:
  - {origins: ["https://*.example.com"], credentials: true, max_age: 1h}
bounds:
  - {operations: ["*-a"], body: 8KB, query: 100, json_depth: 9, duplicate_keys: false}
networks:
  office: [10.0.0.0/8, "2001:db8::/32"]
abuse:
  action: throttle
  for: 1h
  rate: 5
  addresses: false
  exempt: {networks: [office, 192.0.2.0/24], clients: [a]}
  webhook: {url: "https://alerts.example/x", secret: ALERTS}
  credential_burst: {failures: 30, proofs: 3, within: 2m, action: block, for: 10m}
  path_scan: {enabled: false}
  rate_jump: {factor: 4, learn: 1d}
policies:
  - name: guard
    action: reject
    operations: ["*-a"]
    status: 451
    message: not from there
    mode: observe
    rules:
      - role: [reader]
      - ip: {not_in: [office, 192.0.2.1]}
      - header: {name: x-a, "<": 5}
      - body: {at: /a, is: true, is_not: 1}
      - query: {name: a, in: [b, c], not_in: [c, d]}
      - when: 'true'
      - authenticated: true
      - authenticated: true
      - time: {zone: Europe/Berlin, days: [mon], from: "22:00", to: "06:00"}
      - when: size > 3
      - when: operation in ["get-a", "weir-execution"] && method != "PUT" && "reader" in roles && source == "edge"
      - when: '["x"].exists(method, method == "x") || "get-" + operation == "get-get-a" || operation.startsWith("x")'
      - when: '"x-a" in header && header["x-a"] == "B" && header.host_name == "A"'
  - name: all
    action: accept
"""


def test_good_file_loads_and_fits_the_published_schema() -> None:
    loaded = load_project({**FILES, "access.yaml": GOOD})
    assert loaded.problems == ()
    assert loaded.project is not None
    assert [policy.name for policy in loaded.project.policies] == ["guard", "all"]
    schema = project_schema()
    validator = compile_schema({**schema, "$ref": "#/$defs/access.yaml"})
    validator.validate(read("access.yaml", GOOD).data)
