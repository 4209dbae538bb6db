"""Shell snippets of a page that say they can be run: a comment `<!-- run -->` before a block of `sh`.

`<!-- run: kcat -->` names a program that has to be there.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"<!-- run(?:: (\w+))? -->\n```sh\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A script, and the program that it needs besides the usual ones."""

    script: str
    needs: str | None


def snippets(page: Path) -> list[Snippet]:
    """All snippets of a page, in order."""
    return [Snippet(script, needs or None) for needs, script in _BLOCK.findall(page.read_text())]
