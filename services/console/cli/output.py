"""How commands print.

In:    rows, documents, times.
Out:   a table for people, JSON with `--json`.
Never: colours or boxes where the output is not a terminal; what a terminal would obey, in a text that somebody has
written.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.console.cli.terminal import harmless, in_json, one_line

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_WIDE = 240
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
    console.print(table(found, columns))


def table(found: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """A listing as a table."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column.replace("_", " "), overflow="fold")
    for row in found:
        # what somebody has written is shown as it stands: brackets are no styles, `:name:` is no picture
        result.add_row(*(Text(harmless(_cell(column, row.get(column)))) for column in columns))
    return result


def moment(time_ms: int) -> str:
    """A time for people."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column in ("time", "created", "expires", "revoked", "used", "until", "accepted", "ended"):
        return moment(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
