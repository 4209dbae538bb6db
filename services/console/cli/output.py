"""How commands print.

In:    rows, documents, times.
Out:   a table for people, JSON with `--json`.
Never: colours or boxes where the output is not a terminal; what a terminal would obey, in a text that somebody has
written.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.console.cli.terminal import harmless, in_json, one_line

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_WIDE = 240
# ids, times, names and numbers are read and copied as they stand; what is longer may have several lines
_WHOLE, _WHOLE_LIVE = 40, 16
_GAP = 2
_BLANKS = re.compile(r" +(\x1b\[0m)?$", re.MULTILINE)
# what JSON says by escapes can be written anywhere
_UNICODE = (sys.stdout.encoding or "").lower().startswith("utf")
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)


def say(text: str) -> None:
    """One line, or several."""
    console.print(harmless(text), markup=False, highlight=False, emoji=False)


def styled(pieces: Sequence[tuple[str, str]]) -> None:
    """One line of pieces with their styles; without any where the output is not a terminal."""
    console.print(Text.assemble(*((one_line(text), style) for text, style in pieces)), highlight=False, no_wrap=True,
                  overflow="ignore", crop=False)


def document(doc: Any) -> None:
    """JSON, indented."""
    typer.echo(in_json(json.dumps(doc, indent=2, ensure_ascii=not _UNICODE)))


def rows(found: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """A listing."""
    if as_json:
        document(list(found))
        return
    show(table(found, columns))


def table(found: Sequence[Mapping[str, Any]], columns: Sequence[str], *, live: bool = False) -> Table:
    """A listing as a table. Where the terminal has no room for ids and numbers as they stand, lines are longer than it
    is wide and go on in its next line; those of a `live` one end where it does, and names in them are narrower."""
    # what somebody has written is shown as it stands: brackets are no styles, `:name:` is no picture
    cells = [[Text(harmless(_cell(column, row.get(column)))) for column in columns] for row in found]
    headers = [column.replace("_", " ") for column in columns]
    longest = [max([cell_len(header), *(_wide(texts[number]) for texts in cells)])
               for number, header in enumerate(headers)]
    whole = [min(one, _WHOLE_LIVE if live else _WHOLE) for one in longest]
    fits = live or sum(whole) + _GAP * (len(whole) - 1) <= console.width
    result = Table(box=None, pad_edge=False, header_style="bold")
    for header, least in zip(headers, whole if fits else longest, strict=True):
        result.add_column(header, overflow="fold", min_width=least)
    for texts in cells:
        result.add_row(*texts)
    return result


def show(listing: Table) -> None:
    """Without blanks at the ends of its lines: in a terminal that is narrower they would be empty lines."""
    with console.capture() as held:
        console.print(listing)
    typer.echo(_BLANKS.sub(r"\1", held.get()), nl=False)


def _wide(text: Text) -> int:
    return max((cell_len(line) for line in text.plain.splitlines()), default=0)


def moment(time_ms: int) -> str:
    """A time for people."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column in ("time", "created", "expires", "revoked", "used", "until", "accepted", "ended"):
        return moment(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
