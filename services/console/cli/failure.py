"""What a command says when it cannot do its work.

In:    a sentence.
Out:   `Failure`, caught in `main.py`.
Never: a traceback.
"""


class Failure(Exception):
    """The text says what is wrong, where, and what to do."""

    exit_code = 1
