"""Texts that were meant as expressions, in values of any make; the files are those of `test_check_workflows.py`."""

from typing import Any

import pytest

from shared.project.check_texts import misspelled


@pytest.mark.parametrize(("value", "places"), [
    # settings of a connector may have names that are no texts
    ({1: {2: "{{ x }}"}, "a": 1}, [("1", "2")]), ({"a": ("x", ["{% 1"])}, [("a", 1, 0)]), ("{% 1 %} {% 2", [()]),
    ({"{% x %}": "{{ y }}"}, [("{% x %}",), ("{% x %}",)]), ([None, True, 1.5, "{% 1 %}"], [])])
def test_place_is_told_however_a_value_is_made(value: Any, places: list[Any]) -> None:
    assert [place for place, _ in misspelled(value)] == places
