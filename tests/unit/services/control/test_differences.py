"""A diff says how to make the one of the other, and is told at once, however many lines there are."""

import difflib
import time
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from services.control.differences import unified

LINES = st.lists(st.sampled_from("abcdefgh").map(lambda letter: f"{letter}\n"), max_size=20)


def patched(before: list[str], diff: Iterable[str]) -> list[str]:
    made, at = list[str](), 0
    for line in list(diff)[2:]:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            here = int(start) - (count != "0")
            made += before[at:here]
            at = here
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert before[at] == line[1:]
            made += before[at:at + 1] if line[0] == " " else []
            at += 1
    return made + before[at:]


@given(LINES, LINES)
def test_what_it_says_makes_the_one_of_the_other(before: list[str], after: list[str]) -> None:
    told = list(unified(before, after, "a", "b"))
    assert patched(before, told) == after
    assert bool(told) == (before != after)


def test_it_is_written_as_everybody_writes_it() -> None:
    before = [f"line {number}\n" for number in range(60)]
    after = ["new\n", *before[:20], "changed\n", *before[21:50], *before[55:], "end\n"]
    assert list(unified(before, after, "a", "b")) == list(difflib.unified_diff(before, after, "a", "b"))
    assert list(unified([], ["x\n"], "a", "b")) == list(difflib.unified_diff([], ["x\n"], "a", "b"))


def test_thousands_of_changes_are_told_at_once() -> None:
    """Whoever compares each line with all others takes half a minute."""
    def text(letter: str) -> list[str]:
        return [part for n in range(5_000) for part in (f"- name: {letter}{n}\n", f"  roles: [r{n * 7 % 150}]\n")]
    began = time.process_time()
    told = list(unified(text("c"), text("d"), "a", "b"))
    assert time.process_time() - began < 2
    assert patched(text("c"), told) == text("d")
