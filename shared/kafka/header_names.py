"""Header names that are no text.

In:    what the broker answers to a fetch.
Out:   its records; where a name is not UTF-8, each byte of it that is not ASCII is a `?`.
Never: a record lost for another one's header.

Kafka allows any bytes as the name of a header. aiokafka decodes names as UTF-8, fails the whole poll where that cannot
be, and cannot read what stands behind such a record in its batch: whoever wrote a thousand of them held a partition for
seconds, and had good records lost. None of our own names has such bytes, so that it does not matter what becomes of
them.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.record.util import decode_varint

_PartitionRecords: Any = fetcher.PartitionRecords
_MAGIC = 2


def tolerate() -> None:
    """From now on consumers of this process read records with such names. Again does no harm."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = _Batches, _Records


class _Batches(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """Those of a partition, as a fetch brought them."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _Records(_PartitionRecords):  # type: ignore[misc]
    """Those of a fetch. aiokafka's batches are fast; where one fails for a name, slow ones go on."""

    def _unpack_records(self) -> Iterator[Any]:
        try:
            yield from super()._unpack_records()
        except UnicodeDecodeError:
            self._records: Any = _SlowBatches(self._records.data, self.next_fetch_offset)
            # it passes over what has been read of the batch
            yield from super()._unpack_records()


class _SlowBatches(_MemoryRecordsPy):  # type: ignore[misc]
    """Batches without such names, from the one that holds a place."""

    def __init__(self, data: bytes, place: int) -> None:
        super().__init__(data)
        self._place = place

    def next_batch(self) -> Any:
        raw, batch = self._next_slice, super().next_batch()
        while batch.next_offset <= self._place:
            raw, batch = self._next_slice, super().next_batch()
        return batch if raw[self.MAGIC_OFFSET] < _MAGIC else _Renamed(raw)


class _Renamed(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A batch; when it is read, no name is left that is not UTF-8."""

    def __iter__(self) -> Any:
        self._maybe_uncompress()
        at = self._pos
        for _ in range(self._num_records):
            at = self._rename(at)
        return self

    def _rename(self, at: int) -> int:
        """In the record there; the place behind it."""
        length, at = decode_varint(self._buffer, at)
        end: int = at + length
        # attributes, time, place
        for _ in range(3):
            _, at = decode_varint(self._buffer, at)
        at = self._behind(self._behind(at))
        headers, at = decode_varint(self._buffer, at)
        for _ in range(headers):
            size, at = decode_varint(self._buffer, at)
            self._buffer[at:at + size] = _text(self._buffer[at:at + size])
            at = self._behind(at + size)
        return end

    def _behind(self, at: int) -> int:
        """The place behind bytes that may be none at all."""
        size: int
        size, at = decode_varint(self._buffer, at)
        return at + max(size, 0)


def _text(name: bytearray) -> bytes:
    """As it is, or as long as it is."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return bytes(byte if byte < 128 else ord("?") for byte in name)
    return bytes(name)
