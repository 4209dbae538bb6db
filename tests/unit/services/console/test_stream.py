"""Following the stream of usage events."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.console.cli import stream


def test_a_time_before_all_times_is_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[int] = []

    class Reader:
        """A topic with nothing on it."""

        def __init__(self, *_: Any) -> None: ...

        async def start(self) -> None: ...

        async def stop(self) -> None: ...

        async def ends(self) -> dict[Any, int]:
            return {}

        async def at(self, time_ms: int) -> dict[Any, int]:
            began.append(time_ms)
            return {}

        async def read(self, *_: Any) -> AsyncIterator[list[Any]]:
            for records in list[list[Any]]():
                yield records
    monkeypatch.setattr(stream, "SpanReader", Reader)
    stream.tail(since="9999999999h", follow=False)
    assert began == [0]
