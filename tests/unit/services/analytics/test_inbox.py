"""Where counting begins."""

from collections.abc import Sequence
from typing import Any, cast

from services.analytics.inbox import AnalyticsParts, Counter


class Ledger:
    """Counted are all but the last offset of two partitions."""

    def __init__(self) -> None:
        self.anew: list[int] = []

    async def offsets(self) -> dict[int, int]:
        return {0: 8, 1: 8}

    async def begin_anew(self, partitions: Sequence[int]) -> None:
        self.anew += partitions


async def test_topic_that_ends_before_what_was_counted_is_another_one_and_counted_from_its_beginning() -> None:
    ledger = Ledger()
    counter = Counter(cast(AnalyticsParts, cast(Any, type("Parts", (), {"ledger": ledger}))))
    assert await counter.begin({0: 0, 1: 2, 2: 3}, {0: 9, 1: 8, 2: 3}) == {0: 9, 1: 2, 2: 3}
    assert ledger.anew == [1]
