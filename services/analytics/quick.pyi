from collections.abc import Callable

from shared.contracts.usage import UsageEvent
from shared.usage.measures import Measures

def learn(event: type[UsageEvent], sums: type[Measures]) -> None: ...
def take(
    events: tuple[UsageEvent, ...], seen: dict[str, set[int]], known: dict[str, set[int]],
    groups: dict[tuple[str, int, str, str, str, int, str], Measures], requests: list[UsageEvent],
    rest: Callable[[UsageEvent], object]) -> None: ...
def see(
    events: list[UsageEvent], callers: dict[tuple[int, str, str, str | None], list[int]],
    places: dict[tuple[str, str, str | None], UsageEvent], noted: frozenset[str], tick_ms: int,
    rest: Callable[[UsageEvent], object]) -> None: ...
