"""Usage events as Parquet."""

import io

import pyarrow.parquet as pq

from services.sinks.cloud_events import batches
from services.sinks.parquet import files_of
from services.sinks.writer import where_to_go_on
from shared.contracts.usage import LONGEST_US, Envelope
from tests.support.usage import TIME, event


def test_files_are_by_date_and_hour_and_say_what_the_events_say() -> None:
    later = event(2, time=TIME + 3_600_000, client="ü", timing={"policy": 5, "executor": 7}, observed=["a:b"])
    files = files_of([(0, 5, event(1)), (3, 6, later)])
    assert list(files) == ["date=2023-11-14/hour=22", "date=2023-11-14/hour=23"]
    row = pq.read_table(io.BytesIO(files["date=2023-11-14/hour=23"])).to_pylist()[0]
    assert (row["client"], row["micros"], dict(row["timing"]), row["observed"]) == (
        "ü", 12, {"policy": 5, "executor": 7}, ["a:b"])
    assert (row["kafka_partition"], row["kafka_offset"], row["time"].timestamp() * 1000) == (3, 6, later.time)


def test_columns_keep_their_types_when_nothing_is_in_them() -> None:
    files = files_of([(0, 1, event(1, kind="delivery", origin=None, timing={}, tasks=0))])
    full = files_of([(0, 1, event(1, trace_id="t", step="s", observed=["x:y"]))])
    one, two = (pq.read_schema(io.BytesIO(next(iter(found.values())))) for found in (files, full))
    assert one.equals(two)


def test_sink_goes_on_where_its_folder_has_got_to_as_long_as_the_topic_has_that() -> None:
    ends = {0: 9, 1: 9, 2: 9, 3: 9}
    assert where_to_go_on({0: 9, 1: 10, 2: 4}, {0: 0, 1: 2, 2: 6, 3: 1}, ends) == {0: 9, 1: 2, 2: 6, 3: 1}


def test_whatever_is_read_from_the_topic_can_be_handed_on() -> None:
    most = event(1, time=253_402_300_799_999, status=999, tasks=2**40 - 1, bytes_in=2**40 - 1, bytes_out=2**40 - 1,
                 timing={str(hop): LONGEST_US for hop in range(32)})
    least = event(2, time=0, status=0, tasks=0, bytes_in=0, bytes_out=0, timing={}, kind="delivery", origin=None)
    value, headers = Envelope(producer="p", sequence=0, events=(most, least)).to_record()
    events = Envelope.from_record(value, dict(headers)).events
    assert list(files_of([(0, 0, one) for one in events])) == ["date=9999-12-31/hour=23", "date=1970-01-01/hour=00"]
    assert len(list(batches(events, 10, 100_000))) == 1
