"""Records of several partitions, handed on in the order of their times.

In:    what polls bring, partition by partition.
Out:   the records that nothing older can follow.
Never: more records held than was allowed: where the order would need that, the oldest one goes on as it is.
"""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from aiokafka import TopicPartition

from shared.kafka.record import Record


class ByTime:
    """Holds back what is newer than the place where the slowest partition stands; one that has ended holds nobody back.

    A partition far ahead is not read on, so that each holds about one poll. More comes together only where records of
    one partition are not in the order of their times.
    """

    def __init__(self, places: Iterable[TopicPartition], max_held: int) -> None:
        """`places` are read from their beginning."""
        self._reached = dict.fromkeys(places, -1)
        self._held: list[tuple[int, TopicPartition, int, Record]] = []
        self._max = max_held

    def __bool__(self) -> bool:
        """Whether anything is still to come."""
        return bool(self._reached or self._held)

    def slowest(self) -> list[TopicPartition]:
        """The partitions that all others wait for; they are to be read next."""
        least = min(self._reached.values(), default=0)
        return [place for place, time_ms in self._reached.items() if time_ms == least]

    def add(self, place: TopicPartition, records: Iterable[Record]) -> None:
        """Take in the next records of a partition."""
        for record in records:
            heappush(self._held, (record.timestamp, place, record.offset, record))
            # the last one, not the newest: a publisher whose clock is ahead does not open the gate
            self._reached[place] = record.timestamp

    def end(self, place: TopicPartition) -> None:
        """Nothing more comes of this partition."""
        del self._reached[place]

    def ready(self) -> Iterator[Record]:
        """What can be handed on now, oldest first."""
        least = min(self._reached.values(), default=None)
        while self._held and (least is None or self._held[0][0] < least or len(self._held) > self._max):
            yield heappop(self._held)[3]
