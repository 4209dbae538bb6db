"""The two scanners of YAML: one is fast, the other one words what is wrong, and nobody may tell them apart."""

import random
from itertools import count
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from shared.project import places

ROOT = Path(__file__).parents[4]
TEXTS = [path.read_text() for path in sorted(ROOT.glob("examples/**/*.yaml"))]
MISTAKES = [
    "\t", '"', "'", "[", "]", "{", "}", ":", ": ", "- ", "? ", "\n", "  ", "#", " #", "|", ">", "&a ", "*a", "!!str ",
    "%", "%YAML 1.1\n", "---", "...", "é", "\u2028", "\x85", "\U0001f600", "\r\n", "\\", "\\x41", "!!binary ", "<<: ",
    "@", "`", ",", "0o7", "1e3", "~", "yes", "!foo", "\ufeff", "\x7f", "\x00", "\ud800", "|-\n", "|#", ">+\n", "''"]


def test_both_scanners_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [_with_mistakes(random.Random(seed)) for seed in range(200)]
    found = [places.read("f.yaml", text) for text in files]
    assert any(source.problems for source in found)
    assert any(source.data for source in found)
    monkeypatch.setattr(places, "YAML", lambda typ, pure=True: YAML(typ=typ, pure=True))
    for text, source in zip(files, found, strict=True):
        assert repr(places.read("f.yaml", text)) == repr(source), text


@pytest.mark.parametrize("text", ["{a: " * 30_000 + "}" * 30_000, "- " * 30_000 + "x", "? " * 30_000 + "x",
                                  "[" * 30_000, "a: \u2028" + "[" * 30_000], ids=count())
def test_a_file_of_any_depth_is_a_problem(text: str) -> None:
    """The scanner in C would end the process, the one in Python take seconds to say that its stack does not do."""
    source = places.read("f.yaml", text)
    assert source.data is None
    assert [problem.code for problem in source.problems] == ["nested"]


@pytest.mark.parametrize("text", [
    "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)),
    "a0: &a0 {b: x}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 30)),
    "a: &a {b: *a, " + ", ".join(f"c{i}: [x]" for i in range(3_000)) + "}\n"])
def test_a_file_whose_aliases_stand_for_more_than_anybody_can_read_is_a_problem(text: str) -> None:
    """Whatever looked at it would not end."""
    source = places.read("f.yaml", text)
    assert source.data is None
    assert [(problem.code, problem.line) for problem in source.problems] == [("file-too-large", 1)]


def test_alias_that_stands_in_itself_is_told_where_it_is_too_deep() -> None:
    assert [str(problem) for problem in places.read("f.yaml", "b: 1\na: &a [*a]\n").problems] == [
        "f.yaml:2:4: nested more than 60 levels deep [nested]"]


@pytest.mark.parametrize(("text", "says"), [
    ("if: {% trigger.body.x %}\n", '1:6: an expression stands in quotes, as in "{% trigger.body.name %}"'),
    ("a:\n  b: [{%x: 1%}]\n", '2:8: an expression stands in quotes'),
    ("a: % x\n", "1:4: found character '%' that cannot start any token: a text that begins with this character"),
    ("a:\n\tb: 1\n", "2:1: found character '\\t' that cannot start any token: lines are indented by spaces"),
    ("a: x ? 'b' : c\n", "1:12: mapping values are not allowed here: a text that has a colon and a space"),
    ("a:\n  b: 1\n c: 2\n", "3:2: expected <block end>, but found '<block mapping start>': the keys of one mapping"),
    ("a: 'it's'\n", "1:8: expected <block end>, but found '<scalar>': a text goes on here behind its quotes"),
    ("a: {b: x{y}\n", "1:9: expected ',' or '}', but got '{': what stands in { } or [ ] ends with it"),
    ("a: 1\nb: 'x\n", "3:1: found unexpected end of stream: what begins in line 2 has no end"),
    ('a: "\\d"\n', "1:6: found unknown escape character 'd': in '...' a backslash is one"),
    ("ab\nc: 1\nb\n", "mapping values")])
def test_what_yaml_cannot_take_is_told_with_what_to_write(text: str, says: str) -> None:
    problem, = places.read("f.yaml", text).problems
    assert says in str(problem)


@pytest.mark.parametrize("text", ['a: !!int ""', 'a: !!float ""', 'a: !!bool ""', 'a: !!int "0x"', 'a: !!timestamp ""',
                                  'a: !!binary "é"', "a: !!omap 1", "a: !!set [1]", "a: !!pairs x", "!!map 1"])
def test_tags_that_do_not_fit_are_problems(text: str) -> None:
    assert places.read("f.yaml", text).problems


def _with_mistakes(chance: random.Random) -> str:
    text = chance.choice(TEXTS)[:1000]
    for _ in range(chance.choice([0, 1, 1, 2, 6])):
        at, other = chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)
        text = chance.choice([
            text[:at] + chance.choice(MISTAKES) + text[at:], text[:at] + text[at + chance.randrange(8):],
            text[:at] + text[other:other + chance.randrange(30)] + text[at:]])
    return text
