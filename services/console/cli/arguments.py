"""Arguments that several commands take in the same form.

In:    what a person has typed.
Out:   its value, or what is wrong with it.
Never: a default.
"""

import typer

from shared.project.durations import to_ms


def milliseconds(text: str, option: str) -> int:
    """A duration, as in 24h. Raises BadParameter that names the option."""
    try:
        return to_ms(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint=option) from None


def seconds(text: str, option: str) -> int:
    """A duration in seconds, at least one. Raises BadParameter that names the option."""
    return max(1, milliseconds(text, option) // 1000)
