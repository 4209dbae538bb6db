"""Lines of a log, as a service writes them."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.telemetry.logs import JsonLines


@contextmanager
def lines_of(logger: str) -> Iterator[list[dict[str, Any]]]:
    """What a logger, and those below it, say meanwhile; each line is read in the context in which it was written."""
    told: list[dict[str, Any]] = []

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(json.loads(JsonLines({}).format(record)))

    handler = Told()
    logging.getLogger(logger).addHandler(handler)
    try:
        yield told
    finally:
        logging.getLogger(logger).removeHandler(handler)
