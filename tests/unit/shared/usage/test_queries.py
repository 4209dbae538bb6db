"""What is remembered for the next question changes no answer."""

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec
import orjson
import pytest

from shared.contracts.query import Sums, UsageAnswer, UsageQuery, UsageRow
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.usage import decoded, queries, rows
from shared.usage.buckets import HOUR, MINUTE, MINUTE_MS, Grain
from shared.usage.counters import Counters, Fields, State
from shared.usage.dimensions import Dimensions, field_of
from shared.usage.measures import ENCODER, Measures, slot_of
from shared.usage.queries import Queries
from shared.usage.ranges import Bucket
from tests.support.fakes import StoppedClock

NOW = 1_700_000_000_000 // HOUR.size_ms * HOUR.size_ms + 90 * 1_000


class Hashes(Counters):
    """Counters in memory."""

    def __init__(self) -> None:
        super().__init__(Store(RedisSettings(url="redis://127.0.0.1:9/0")))
        self.found: dict[tuple[str, Bucket], dict[bytes, Measures]] = {}
        self.changes: dict[tuple[str, Bucket], int] = {}

    def add(self, project: str, grain: Grain, time_ms: int, dimensions: Dimensions, micros: int) -> None:
        place = project, (grain, grain.index(time_ms))
        sum_ = self.found.setdefault(place, {}).setdefault(field_of(dimensions).encode(), Measures(slots={}))
        sum_.add(Measures(1, 4, 100, 900, micros, 0, {slot_of(micros): 1}))
        self.changes[place] = self.changes.get(place, 0) + 1

    async def states(self, places: Sequence[tuple[str, Bucket]]) -> list[State]:
        return [State(*place, len(self.found[place]), self.changes[place]) for place in places if place in self.found]

    async def read(self, states: Sequence[State]) -> AsyncIterator[tuple[State, Fields]]:
        for state in states:
            yield state, {name: ENCODER.encode(sum_)
                          for name, sum_ in self.found[state.project, state.bucket].items()}


class Trips:
    """A store in which each bucket has one field; how many commands each round trip had."""

    def __init__(self) -> None:
        self.made: list[int] = []

    async def many(self, commands: Sequence[Sequence[str]]) -> list[int]:
        self.made.append(len(commands))
        return [1] * len(commands)

    async def hashes(self, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        self.made.append(len(keys))
        name = field_of(Dimensions("o", "c", "edge", 200, "ok")).encode()
        return [{name: ENCODER.encode(Measures(1, 4, 100, 900, 5, 0, {}))} for _ in keys]


async def test_question_about_all_of_many_projects_takes_few_round_trips() -> None:
    trips, names = Trips(), [f"p{number:04d}" for number in range(2_000)]
    asking = Queries(Counters(cast(Any, trips)), StoppedClock(NOW), lambda: names, 3_000)
    question = UsageQuery(since_ms=NOW, until_ms=NOW + HOUR.size_ms, per="hour", by=("project",), top=5)
    found = orjson.loads(await asking.answer(question))
    assert (found["groups"], found["total"]["requests"]) == (2_000, 2_000)
    assert [row["project"] for row in found["rows"]] == names[:5]
    # a hundred buckets each: once for how large they are, once for what they hold
    assert len(trips.made) == 40
    assert max(trips.made) == 200


@pytest.mark.parametrize("bound", [3, 10_000], ids=["hardly any room", "room"])
async def test_answers_are_those_of_somebody_who_remembers_nothing(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((decoded, "_MOST"), (rows, "_MOST"), (rows, "_MOST_NAMES"), (queries, "_MOST_KEPT")):
        monkeypatch.setattr(module, name, bound)
    chance, counters, clock = random.Random(bound), Hashes(), StoppedClock(NOW)
    watching = Queries(counters, clock, lambda: ["p", "q"], 3_000)
    questions = [UsageQuery(since_ms=NOW - 3 * HOUR.size_ms, until_ms=NOW + 60_000, **more) for more in (
        {"project": "p", "by": ("operation", "client")}, {"project": "p", "by": ("status",), "order": "errors"},
        {"by": ("project",), "compare": True}, {"project": "p", "by": ("client",), "per": "minute", "top": 2},
        {"project": "p", "by": (), "where": {"status": ["4xx", "500"]}})]
    for _ in range(60):
        for _ in range(chance.randint(0, 5)):
            dimensions = Dimensions(f"o{chance.randrange(3)}", f"c{chance.randrange(3)}", "edge",
                                    chance.choice([200, 200, 404, 429, 500]), "ok")
            back = chance.choice([0, 0, 0, 70 * 60_000, 200 * 60_000])
            for grain in (MINUTE, HOUR):
                counters.add(chance.choice("pq"), grain, clock.now_ms() - back, dimensions, chance.randint(1, 10**6))
        clock.now += chance.choice([0, 10_000, MINUTE_MS])
        question = chance.choice(questions)
        fresh = Queries(counters, clock, lambda: ["p", "q"], 3_000)
        assert await watching.answer(question) == await fresh.answer(question)


def test_answer_is_written_the_same_by_whoever_writes_it() -> None:
    texts = ["", "ä€😀", '"\\/', "".join(map(chr, range(0x20))), "\x7f\u2028"]
    answer = UsageAnswer(rows=[UsageRow(client=text, before=Sums(p50_us=2**53)) for text in texts], total=Sums(),
                         groups=1, since_ms=0, until_ms=1)
    assert orjson.dumps(orjson.loads(answer.to_json())) == answer.to_json() == msgspec.json.encode(answer)
