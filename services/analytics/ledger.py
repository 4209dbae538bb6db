"""Counters and offsets, changed together.

In:    envelopes with their places on the topic.
Out:   counters in Redis; the events that were new.
Never: an envelope counted twice, or an offset stored without its counts: one script does both.

The script adds sums that were made here, as long as nothing in them is known to it. Where something is, it changes
nothing and says what, and the envelopes are folded again without it: repeats are rare, and cost a round trip more.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.analytics import seen
from services.analytics.fold import ENVELOPES, Folded, Known, Placed, fold
from shared.clock import Clock
from shared.contracts.codec import JsonObject
from shared.contracts.usage import UsageEvent
from shared.store.redis import Store
from shared.usage import buckets
from shared.usage.dimensions import Dimensions, field_of
from shared.usage.measures import ENCODER, Measures, total

OFFSETS, STREAM, PRODUCERS = "weir:usage:offsets", "weir:usage:stream", "weir:usage:producers"
# the topic keeps seven days
_KEEP_PRODUCER_S = 8 * 86_400
# a process that nobody calls sends nothing, and goes on with its numbers when somebody does
_REMEMBER_PRODUCER_S = 400 * 86_400
# fields and counters that one call of the script can take: Lua's stack has 8000 places
_PARTS = 4_000
# keys that the store looks at before others have their turn
_AT_ONCE = 1_000
# each is added to four buckets, 6 us apiece, and the store does nothing else meanwhile
_MOST_SUMS = 400


class LedgerWentBack(RuntimeError):
    """The store has forgotten entries it had acknowledged; only a restart from its own offsets makes them good."""


class Addition(NamedTuple):
    """A number that grows with the counters: a field of a hash, or with an empty field the key itself."""

    key: str
    field: str
    amount: int
    expires_s: int


Contribute = Callable[[Sequence[UsageEvent]], Iterable[Addition]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What was added. `before`: offset stored until then, by partition."""

    folded: Folded
    before: Mapping[int, int]


class Ledger:
    """The counters of all projects."""

    def __init__(self, store: Store, clock: Clock, seen_hours: int, contribute: Sequence[Contribute] = ()) -> None:
        """`seen_hours`: how long a request record's place is remembered. `contribute`: what else is to be added up, in
        the same transaction, of requests that are new."""
        self._store, self._clock, self._seen_s, self._contribute = store, clock, seen_hours * 3600, contribute

    async def enter(self, batch: Sequence[Placed], floor: Mapping[int, int] | None = None) -> Entry:
        """Add envelopes, the first `folded.records` of the batch: so many that the store is not held for long.

        `floor`: offsets that the store has had for sure. Raises LedgerWentBack, and adds nothing, where it has them no
        more; StoreUnavailable: then nothing was added, or all was and a repeat adds nothing.
        """
        known, floor = Known(), floor or {}
        while True:
            folded = fold(batch, known, _MOST_SUMS)
            if not folded.places:
                return Entry(folded, known.offsets)
            runs = [run for place, numbers in folded.seen.items() for run in seen.runs(place, numbers)]
            outcome, found = await self._store.run(
                "ledger", [OFFSETS, STREAM, PRODUCERS],
                [ENCODER.encode(self._work(folded, runs, floor)), *(run.bits for run in runs)])
            if outcome == b"behind":
                raise LedgerWentBack(f"the store is at {dict(zip(folded.places, found, strict=True))}, and was at "
                                     f"{dict(floor)}")
            if outcome == b"seen":
                for index, bits in found:
                    run = runs[index - 1]
                    known.numbers.setdefault(run.place, set()).update(seen.numbers(run, bits))
                continue
            known.offsets.update(zip(folded.places, found, strict=True))
            if outcome == b"added":
                return Entry(folded, known.offsets)

    def _work(self, folded: Folded, runs: Sequence[seen.Run], floor: Mapping[int, int]) -> JsonObject:
        return {
            "places": [(partition, *offsets, floor.get(partition, -1)) for partition, offsets in folded.places.items()],
            "seen": [(run.key, run.start, _KEEP_PRODUCER_S if run.place.startswith(ENVELOPES) else self._seen_s)
                     for run in runs],
            "sums": _by_bucket(folded),
            "additions": [addition for contribute in self._contribute for addition in contribute(folded.requests)],
            "producers": [(f"weir:producer:{place.removeprefix(ENVELOPES)}", len(numbers), max(numbers))
                          for place, numbers in folded.seen.items() if numbers and place.startswith(ENVELOPES)],
            "stream": ["envelopes", folded.envelopes, "requests", len(folded.requests), "deliveries",
                       len(folded.deliveries), "repeated_envelopes", folded.repeated_envelopes, "repeated_events",
                       folded.repeated_events],
            "now": self._clock.now_ms() // 1000, "keep": _KEEP_PRODUCER_S,
            "remember": _REMEMBER_PRODUCER_S}

    async def offsets(self) -> dict[int, int]:
        """Partition -> offset of the last envelope that was added. Raises StoreUnavailable."""
        return {int(partition): int(offset) for partition, offset in pairs(await self._store.command(
            "HGETALL", OFFSETS))}

    async def begin_anew(self, partitions: Sequence[int]) -> None:
        """These are of another topic than was counted, and so are the topics of requests: what their records have
        been counted by is another's place. Envelopes are still known. Raises StoreUnavailable."""
        cursor: Any = b"0"
        while True:
            cursor, found = await self._store.command("SCAN", cursor, "MATCH", f"{seen.KEYS}*", "COUNT", _AT_ONCE)
            places = [key for key in found if not key.startswith(f"{seen.KEYS}{ENVELOPES}".encode())]
            if places:
                await self._store.command("UNLINK", *places)
            if int(cursor) == 0:
                break
        await self._store.command("HDEL", OFFSETS, *partitions)


@dataclass(slots=True)
class _Entry:
    """Fields that are added to one or more buckets: those of a minute to its hour as well, if all are of one minute."""

    targets: list[str | int]
    fields: dict[Dimensions, Measures]


def _by_bucket(folded: Folded) -> list[tuple[list[str | int], list[str | Measures]]]:
    """The sums for each size of bucket: [key, expiry, key, expiry, ...], [field, sums, field, sums, ...]."""
    finer, current = buckets.MINUTE, dict[tuple[str, int], _Entry]()
    for (project, minute, *dimensions), sum_ in folded.sums.items():
        place = project, minute
        if place not in current:
            current[place] = _Entry(_target(finer, *place), {})
        current[place].fields[Dimensions._make(dimensions)] = sum_
    entries = list(current.values())
    for grain in buckets.GRAINS[1:]:
        parts: dict[tuple[str, int], list[_Entry]] = {}
        for (project, index), entry in current.items():
            parts.setdefault((project, grain.index(finer.start(index))), []).append(entry)
        finer, current = grain, {}
        for place, found in parts.items():
            current[place] = _together(found, _target(grain, *place))
            if len(found) > 1:
                entries.append(current[place])
    names: dict[Dimensions, str] = {}
    return [(entry.targets, part) for entry in entries for part in _flat(entry.fields, names)]


def _target(grain: buckets.Grain, project: str, index: int) -> list[str | int]:
    return [buckets.key(project, grain, index), grain.start(index + 1) // 1000 + grain.keep_s]


def _together(parts: list[_Entry], target: list[str | int]) -> _Entry:
    if len(parts) == 1:
        parts[0].targets.extend(target)
        return parts[0]
    fields: dict[Dimensions, Measures] = {}
    for part in parts:
        for dimensions, sum_ in part.fields.items():
            known = fields.get(dimensions)
            # a new sum: the parts are added elsewhere as they are
            fields[dimensions] = sum_ if known is None else total((known, sum_))
    return _Entry(target, fields)


def _flat(fields: Mapping[Dimensions, Measures], names: dict[Dimensions, str]) -> Iterable[list[str | Measures]]:
    flat: list[str | Measures] = []
    for dimensions, sum_ in fields.items():
        name = names.get(dimensions)
        if name is None:
            name = names[dimensions] = field_of(dimensions)
        flat += (name, sum_)
    return (flat[at:at + _PARTS] for at in range(0, len(flat), _PARTS))


def pairs(answer: Any) -> Iterable[tuple[Any, Any]]:
    """A hash's fields, as either kind of connection gives them."""
    if isinstance(answer, dict):
        return answer.items()
    return zip(answer[::2], answer[1::2], strict=True)
