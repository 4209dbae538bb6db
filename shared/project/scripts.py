"""Is a script JavaScript?

In:    the body of a function.
Out:   BadScript with line and text, or nothing.
Never: a run of it.
"""

import re

import quickjs

_LINE = re.compile(r"<input>:(\d+)")


class BadScript(ValueError):
    """Code that does not compile."""


def check_script(code: str) -> None:
    """Raises BadScript."""
    try:
        quickjs.Context().eval(f"(function (input) {{\n{code}\n}})")
    except quickjs.JSException as exc:
        what, _, where = str(exc).partition("\n")
        line = _LINE.search(where)
        raise BadScript(f"{what} in line {int(line[1]) - 1} of the script" if line else what) from None
