"""Texts that may have come from anywhere, for a terminal.

In:    what callers, publishers, outside systems and owners of projects have written.
Out:   the same, with what a terminal would obey spelled out.
Never: a text for a program; JSON says such characters by escapes of its own.
"""

import re

# of C0, C1 and DEL all but the ends of lines and tabs: they move the cursor, hide lines, set the title of the window
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ABOVE_ASCII = re.compile(r"[\x7f-\x9f]")


def harmless(text: str) -> str:
    """One line or several, with `\\x1b` for an escape character."""
    return _OBEYED.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """The same, in one line: no part of it is taken for what the command itself says."""
    return harmless(text).replace("\n", "\\n")


def in_json(text: str) -> str:
    """A JSON document that says what JSON lets stand, though a terminal obeys it, by escapes."""
    return _ABOVE_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
