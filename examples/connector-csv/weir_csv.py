"""A step that reads CSV: `csv: { text: ..., delimiter: ";" }` gives an array of objects.

In:    a text whose first line names the columns.
Out:   an object per line.
Never: a number made of what looks like one; the workflow knows better.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from shared.project.connectors import Call, Connector, ConnectorFailed
from shared.project.steps.base import StepSettings

MAX_ROWS = 10_000


class CsvSettings(StepSettings):
    """What stands under `csv:` in a workflow."""

    text: str = Field(description="CSV; its first line names the columns; expressions allowed")
    delimiter: str = Field(default=",", min_length=1, max_length=1)


class CsvConnector(Connector):
    """Reads rows with Python's own reader."""

    Settings = CsvSettings

    async def run(self, settings: Mapping[str, Any], call: Call) -> list[dict[str, str]]:
        """The rows."""
        if not isinstance(settings["text"], str):
            raise ConnectorFailed("`text` gives no text", kind="csv-malformed", status=422)
        rows = list(csv.DictReader(io.StringIO(settings["text"]), delimiter=settings["delimiter"]))
        if len(rows) > MAX_ROWS:
            raise ConnectorFailed(f"the text has more than {MAX_ROWS} rows", kind="csv-too-long", status=413)
        if any(None in row or None in row.values() for row in rows):
            raise ConnectorFailed("a line has more or fewer columns than the first one", kind="csv-malformed",
                                  status=422)
        return rows
