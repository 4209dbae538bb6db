"""The route table against one that tries every operation in turn."""

import string
from urllib.parse import quote, unquote

from hypothesis import given
from hypothesis import strategies as st

from shared.project.model import Operation, Project
from shared.project.routes import Match, MethodNotAllowed, NotFound, RouteTable

METHODS = ("GET", "POST", "DELETE")
segments = st.sampled_from(["a", "b", "{x}", "{y}", "c d", ""])
paths = st.lists(segments, min_size=1, max_size=4).filter(
    lambda parts: len(set(parts) & {"{x}", "{y}"}) == sum(part.startswith("{") for part in parts))
asked = st.lists(st.sampled_from(["a", "b", "z", "c%20d", "", "%2F"]), min_size=1, max_size=4)


def operation(number: int, method: str, path: str) -> Operation:
    return Operation.model_validate({"name": f"op-{number}", "method": method, "path": path, "workflow": "w"})


def naive(operations: list[Operation], method: str, path: str) -> Operation | set[str] | None:
    wanted = "GET" if method == "HEAD" else method
    fitting = []
    for one in operations:
        template, parts = one.path.split("/")[1:], [unquote(part) for part in path.split("/")[1:]]
        if len(template) == len(parts) and all(
                (left.startswith("{") and right != "") or unquote(left) == right
                for left, right in zip(template, parts, strict=True)):
            # literals beat parameters, segment by segment from the left
            fitting.append((tuple(left.startswith("{") for left in template), one))
    same = [(rank, one) for rank, one in fitting if one.method == wanted]
    if same:
        return min(same, key=lambda pair: pair[0])[1]
    return {one.method for _, one in fitting} or None


@given(st.lists(st.tuples(st.sampled_from(METHODS), paths), max_size=8, unique_by=lambda pair: (
    pair[0], "/".join("{}" if part.startswith("{") else part for part in pair[1]))),
    st.sampled_from([*METHODS, "HEAD", "PUT"]), asked)
def test_table_finds_what_trying_every_operation_finds(
        rows: list[tuple[str, list[str]]], method: str, parts: list[str]) -> None:
    operations = [operation(number, verb, "/" + "/".join(path)) for number, (verb, path) in enumerate(rows)]
    path = "/" + "/".join(parts)
    table = RouteTable.of(Project(name="p", operations=tuple(operations)))
    found, expected = table.match(method, path), naive(operations, method, path)
    if isinstance(expected, Operation):
        assert isinstance(found, Match)
        assert found.operation == expected
        assert set(found.params) == expected.path_parameters
    elif expected:
        assert isinstance(found, MethodNotAllowed)
        assert set(found.allow) - {"HEAD"} == expected
    else:
        assert isinstance(found, NotFound)


@given(st.text(string.printable, min_size=1, max_size=12))
def test_parameter_is_decoded_after_the_path_is_split(value: str) -> None:
    table = RouteTable.of(Project(name="p", operations=(operation(1, "GET", "/people/{id}"),)))
    found = table.match("GET", f"/people/{quote(value, safe='')}")
    assert isinstance(found, Match)
    assert found.params == {"id": value}


def test_trailing_slash_is_a_path_of_its_own() -> None:
    table = RouteTable.of(Project(name="p", operations=(operation(1, "GET", "/people"),)))
    assert isinstance(table.match("GET", "/people/"), NotFound)


def test_head_falls_to_get_and_is_named_beside_it() -> None:
    table = RouteTable.of(Project(name="p", operations=(operation(1, "GET", "/people"),)))
    assert isinstance(table.match("HEAD", "/people"), Match)
    assert table.match("POST", "/people") == MethodNotAllowed(("GET", "HEAD"))
    own = RouteTable.of(Project(name="p", operations=(operation(1, "GET", "/people"), operation(2, "HEAD", "/people"))))
    found = own.match("HEAD", "/people")
    assert isinstance(found, Match)
    assert found.operation.method == "HEAD"


def test_stream_of_events_has_no_head() -> None:
    events = Operation.model_validate({
        "name": "hear", "method": "GET", "path": "/a/live", "workflow": "w", "mode": "events"})
    own = Operation.model_validate({"name": "own", "method": "HEAD", "path": "/b", "workflow": "w", "mode": "events"})
    table = RouteTable.of(Project(name="p", operations=(
        events, own, operation(1, "GET", "/a/{x}"), operation(2, "POST", "/a/live"), operation(3, "GET", "/b"))))
    assert isinstance(table.match("GET", "/a/live"), Match)
    assert table.match("HEAD", "/a/live") == table.match("PUT", "/a/live") == MethodNotAllowed(("GET", "POST"))
    assert isinstance(table.match("HEAD", "/a/other"), Match)
    assert table.match("HEAD", "/b") == MethodNotAllowed(("GET",))
