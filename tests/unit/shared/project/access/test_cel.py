"""What a condition in CEL is asked when it is compiled, and what only when it is new."""

import pytest

from shared.project.access.cel import BadCel, Undecided, check_texts, compile_condition
from shared.project.access.facts import Facts


@pytest.mark.parametrize("text", ['method.matches("(")', 'now.getHours("Mars/Crater") > 3'])
def test_text_that_a_function_cannot_take_is_refused_in_what_is_new_and_read_in_what_is_in_force(text: str) -> None:
    with pytest.raises(BadCel, match="cannot take"):
        check_texts(text)
    condition = compile_condition(text)
    with pytest.raises(Undecided):
        condition(Facts(operation="o", method="GET", now_ms=0))
