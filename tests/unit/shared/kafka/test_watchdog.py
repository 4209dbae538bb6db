"""A consumer is stuck when something waits for it and it does not move, and not otherwise."""

import pytest
from aiokafka import TopicPartition

from shared.kafka.watchdog import Places, Progress

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
Look = tuple[float, Places, Places, bool]


@pytest.mark.parametrize(("looks", "still"), [
    ([(0, {A: 5}, {A: 5}, False), (9, {A: 5}, {A: 5}, False)], None),
    ([(0, {A: 5}, {A: 5}, False), (9, {A: 5}, {A: 6}, False), (19, {A: 5}, {A: 9}, False)], (A, 10.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {A: 6}, {A: 99}, False)], (A, 0.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {A: 5}, {A: 9}, True), (10, {A: 5}, {A: 9}, False)], (A, 1.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {A: 5}, {}, True)], None),
    ([(0, {A: 5}, {A: 9}, False), (9, {B: 1}, {B: 2}, False)], (B, 0.0)),
    ([(0, {A: 5, B: 1}, {A: 9, B: 9}, False), (4, {A: 6, B: 1}, {A: 9, B: 9}, False)], (B, 4.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {}, {}, False)], None)],
    ids=["nothing to read", "stands still", "slow but moving", "excused once", "ends unknown", "moved elsewhere",
         "one of two", "owns nothing"])
def test_time_for_which_a_consumer_stands_still_though_something_waits(
        looks: list[Look], still: tuple[TopicPartition, float] | None) -> None:
    progress, last = Progress(), 0.0
    for now_s, places, ends, excused in looks:
        progress.look(now_s, places, ends, excused=excused)
        last = now_s
    assert progress.still(last) == still
