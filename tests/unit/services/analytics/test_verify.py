"""Verifications wait for one another, but not for ever."""

import asyncio
from typing import Any, cast

import pytest

from services.analytics import verify
from services.analytics.verify import Verifier
from shared.contracts.query import UsageQuery
from shared.errors import TimedOut
from tests.support.fakes import StoppedClock


async def test_verification_that_nobody_waits_for_any_more_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = cast(Any, None)
    verifier = Verifier(nothing, nothing, StoppedClock(10**12), nothing, nothing)
    begun = asyncio.Event()

    async def compare(*_: object) -> Any:
        begun.set()
        await asyncio.sleep(0.2)
    monkeypatch.setattr(verify, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(verify, "SpanReader", lambda *_: cast(Any, Reader()))
    monkeypatch.setattr(verify.stream, "gaps", lambda _: asyncio.sleep(0))
    monkeypatch.setattr(verifier, "_compare", compare)
    query = UsageQuery(ask="verify", since_ms=10**12 - 60_000, until_ms=10**12)
    first = asyncio.ensure_future(verifier.verify(query, 100, 100))
    await begun.wait()
    with pytest.raises(TimedOut, match="ask again later"):
        await verifier.verify(query, 100, 100)
    await first
    await verifier.verify(query, 100, 100)


class Reader:
    """Of nothing."""

    async def start(self) -> None:
        """Connected."""

    async def stop(self) -> None:
        """Disconnected."""
