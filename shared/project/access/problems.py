"""What can be wrong with a policy beyond its form.

In:    what a compiler found.
Out:   `BadRule`.
Never: files, lines.
"""


class BadRule(ValueError):
    """A part of a policy that cannot be compiled; `path` leads to what is wrong."""

    def __init__(self, message: str, path: tuple[str | int, ...]) -> None:
        """`message` says what is wrong there."""
        super().__init__(message)
        self.path = path
