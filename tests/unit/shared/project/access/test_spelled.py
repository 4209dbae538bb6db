"""Texts are found in an expression where they stand, and nowhere else."""

import pytest

from shared.project.access.cel import compile_condition
from shared.project.access.spelled import arguments, members

# expression, texts that are the last argument of a call
CALLS = [
    ('method.matches("a")', [("matches", '"a"')]),
    ("matches(method, r'a\\(')", [("matches", "r'a\\('")]),
    ("size(')') == 1 && now.getHours('UTC') > 2", [("size", "')'"), ("getHours", "'UTC'")]),
    ('["a)", "("].exists(x, x.matches(""" "b" """))', [("matches", '""" "b" """')]),
    ('method.startsWith("\\"(") // .matches("(")', [("startsWith", '"\\"("')]),
    ('method.matches("a" + "b") || {"(": "]"}["("] == "x"', []),
    ("'x' in roles", []),
]


@pytest.mark.parametrize(("expression", "found"), CALLS, ids=[case[0] for case in CALLS])
def test_last_argument_of_a_call_is_found_where_it_is_one_text(expression: str, found: list[tuple[str, str]]) -> None:
    assert [(function, spelled.text) for function, spelled in arguments(expression)] == found
    compile_condition(expression)


def test_place_of_a_text_counts_from_one() -> None:
    [(_, spelled)] = arguments("true ||\n  method.matches('a')")
    assert (spelled.line, spelled.column) == (2, 18)


def test_members_of_a_variable_are_found_and_those_of_another_are_not() -> None:
    text = ('"a" in header && header["b"] == header.c && has(header.d) && !("e" in header) && body.header.f == "g" '
            '&& body.header["h"] == header.c && "i" in query && query["j"][0] == "header"')
    assert [spelled.text for spelled in members(text, "header")] == ['"a"', '"b"', "c", "d", '"e"', "c"]
    compile_condition(text)
