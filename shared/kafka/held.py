"""What a member of a group holds: the open records of its partitions, and those that go on here from before.

In:    partitions as they come and go, records as polled, records as finished.
Out:   which records are to be done; how many are open, and since when.
Never: asyncio, a client, a clock.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import TopicPartition

from shared.kafka.finished import Finished
from shared.kafka.offsets import InHand, OffsetTracker
from shared.kafka.record import Record


class Held:
    """The partitions of one member."""

    def __init__(self) -> None:
        """None."""
        self.open = 0
        self.trackers: dict[TopicPartition, OffsetTracker] = {}
        # the offset behind what was polled
        self.places: dict[TopicPartition, int] = {}
        # of partitions that were taken away and may have come back since
        self._in_hand: dict[TopicPartition, InHand] = {}
        # records that stand where others did that still go on, and when they were written: those end, not these
        self._replaced: dict[tuple[str, int, int], int] = {}
        # where each poll began, and when its first record was written
        self._polls: dict[TopicPartition, deque[tuple[int, int]]] = {}

    def take(self, partition: TopicPartition, found: Sequence[Record]) -> Sequence[Record]:
        """Those of a poll that are neither finished nor worked on here; they are open now."""
        tracker = self._tracker_of(partition, found)
        self.open += tracker.fetched(found)
        if found:
            self._polls.setdefault(partition, deque()).append((found[0].offset, found[0].timestamp))
            self._written_ms(partition)
            self.places[partition] = found[-1].offset + 1
        return self._to_do(partition, tracker, found)

    def finished(self, records: Iterable[Record]) -> None:
        """These records are done; records of a partition that has moved on are ignored."""
        # a plain pair finds what stands under a TopicPartition
        by_partition: dict[tuple[str, int], list[int]] = {}
        for record in records:
            if self._replaced and self._was_replaced(record):
                continue
            place = record.topic, record.partition
            if place in by_partition:
                by_partition[place].append(record.offset)
            else:
                by_partition[place] = [record.offset]
        for partition, offsets in by_partition.items():
            tracker, in_hand = self.trackers.get(partition), self._in_hand.get(partition)
            if tracker is not None:
                self.open -= tracker.finished(offsets)
            if in_hand is not None:
                in_hand.finished(offsets)

    def going(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[OffsetTracker, InHand]]:
        """Note what goes on here of partitions that will be let go, for `let_go`.

        What is finished between the two is noted, too, though no commit of this member may have it.
        """
        going = {partition: (tracker, tracker.in_hand(self._in_hand.get(partition))) for partition in partitions
                 if (tracker := self.trackers.get(partition)) is not None}
        self._in_hand.update({partition: in_hand for partition, (_, in_hand) in going.items()})
        return going

    def let_go(self, partitions: Collection[TopicPartition],
               going: Mapping[TopicPartition, tuple[OffsetTracker, InHand]]) -> None:
        """They are this member's no more: their open records go to whoever has them next."""
        for tracker, in_hand in going.values():
            tracker.tell(in_hand)
        for partition in partitions:
            self.trackers.pop(partition, None)
            self.places.pop(partition, None)
            self._polls.pop(partition, None)
        self.open = sum(tracker.open for tracker in self.trackers.values())

    def begin(self, partitions: Iterable[TopicPartition], finished: Mapping[TopicPartition, Finished]) -> None:
        """Start counting anew, from what whoever had the partitions has finished."""
        for partition in partitions:
            self.trackers[partition] = OffsetTracker(finished.get(partition))
        self.open = sum(tracker.open for tracker in self.trackers.values())

    def oldest_ms(self) -> int | None:
        """When the oldest unfinished record was written, to the poll that brought it; in ms since 1970."""
        return min((found for partition in self._polls if (found := self._written_ms(partition)) is not None),
                   default=None)

    def _was_replaced(self, record: Record) -> bool:
        written_ms = self._replaced.pop((record.topic, record.partition, record.offset), record.timestamp)
        return written_ms != record.timestamp

    def _written_ms(self, partition: TopicPartition) -> int | None:
        polls, oldest = self._polls[partition], self.trackers[partition].oldest
        while polls and (oldest is None or (len(polls) > 1 and polls[1][0] <= oldest)):
            polls.popleft()
        return polls[0][1] if polls else None

    def _tracker_of(self, partition: TopicPartition, found: Sequence[Record]) -> OffsetTracker:
        tracker = self.trackers.get(partition)
        if tracker is not None and found and found[0].offset < self.places.get(partition, 0):
            # the topic has lost its newest records: where what is worked on stood there will be others, and no offset
            # of before may be committed, or whoever comes next passes over those
            self._in_hand[partition] = tracker.in_hand(self._in_hand.get(partition))
            self.open -= tracker.open
            self._polls.pop(partition, None)
            tracker = None
        if tracker is None:
            tracker = self.trackers[partition] = OffsetTracker()
        return tracker

    def _to_do(self, partition: TopicPartition, tracker: OffsetTracker, found: Sequence[Record]) -> Sequence[Record]:
        known, going_on, in_hand = tracker.finished_before(found), frozenset[int](), self._in_hand.get(partition)
        if in_hand is not None and found:
            going_on, done = in_hand.among(found)
            known |= done
            self._replaced.update({(record.topic, record.partition, record.offset): record.timestamp
                                   for record in in_hand.replaced(found)})
            if in_hand.is_behind(found):
                del self._in_hand[partition]
        if known:
            self.open -= tracker.finished(known)
        if not known and not going_on:
            return found
        return [record for record in found if record.offset not in known and record.offset not in going_on]
