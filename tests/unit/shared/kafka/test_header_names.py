"""A header's name that is no text hides no record: neither its own nor those behind it in the batch."""

import gzip
import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from shared.kafka import header_names

GZIP = 1


def batch(first: int, *names: bytes, compression: int = 0) -> bytes:
    """Records with a header of that name each, as a broker hands them out."""
    builder = DefaultRecordBatchBuilder(magic=2, compression_type=0, is_transactional=0, producer_id=-1,
                                        producer_epoch=-1, base_sequence=-1, batch_size=100_000)
    for number, name in enumerate(names):
        assert builder.append(number, timestamp=1, key=None, value=b"%d" % (first + number), headers=[
            ("before", None), (f"<{'x' * len(name)}>", b"1"), ("behind", b"")]) is not None
    made = bytes(builder.build())
    for name in names:
        made = made.replace(b"<%s>" % (b"x" * len(name)), b"<%s>" % name, 1)
    if compression:
        made = made[:61] + gzip.compress(made[61:])
    whole = bytearray(made)
    struct.pack_into(">qi", whole, 0, first, len(whole) - 12)
    struct.pack_into(">h", whole, 21, compression)
    struct.pack_into(">I", whole, 17, calc_crc32c(bytes(whole[21:])))
    return bytes(whole)


def read(data: bytes, start: int) -> list[tuple[int, bytes, str]]:
    header_names.tolerate()
    records: Any = fetcher.PartitionRecords(
        TopicPartition("t", 0), fetcher.MemoryRecords(data), [], start, None, None, True, 0)
    found = list(records)
    assert all(record.headers[::2] == (("before", None), ("behind", b"")) for record in found)
    return [(record.offset, record.value, record.headers[1][0]) for record in found]


@pytest.mark.parametrize("compression", [0, GZIP])
@pytest.mark.parametrize("start", range(7))
def test_every_record_is_read(start: int, compression: int) -> None:
    # the broker begins with the batch that holds the place
    data = ((batch(0, b"a", b"b") if start < 2 else b"")
            + batch(2, b"a", b"\xff", "ü".encode(), b"-\xfe\xff-", b"e", compression=compression) + batch(7, b"\xff"))
    names = ["<a>", "<b>", "<a>", "<?>", "<ü>", "<-??->", "<e>", "<?>"]
    found = read(data, start)
    assert [(offset, value) for offset, value, _ in found] == [(number, b"%d" % number) for number in range(start, 8)]
    assert [name for _, _, name in found] == names[start:]
