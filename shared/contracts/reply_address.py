"""Where an answer goes, in the dialect of whoever asked.

In:    the headers of a request record.
Out:   `ReplyAddress`, its headers, and the headers that carry the correlation id back.
Never: an invented correlation id: without one there is no address.

| dialect | correlation id | topic | partition |
| --- | --- | --- | --- |
| weir | `weir-correlation-id` | `weir-reply-topic` | `weir-reply-partition`, decimal |
| spring | `kafka_correlationId` (16 bytes as a rule) | `kafka_replyTopic` | `kafka_replyPartition`, 4-byte big-endian |
| plain | `correlation_id` | `reply_to` | none |
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Self

from msgspec import Struct

from shared.contracts.codec import HeaderMap, integer, required
from shared.errors import BadRecord
from shared.names import headers as H

MAX_CORRELATION_BYTES = 64
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
MAX_PARTITION = 2**31 - 1


class Dialect(StrEnum):
    """Whose header names the caller speaks."""

    WEIR = "weir"
    SPRING = "spring"
    PLAIN = "plain"


_KEYS: dict[Dialect, tuple[str, str]] = {
    Dialect.WEIR: (H.CORRELATION_ID, H.REPLY_TOPIC),
    Dialect.SPRING: (H.SPRING_CORRELATION_ID, H.SPRING_REPLY_TOPIC),
    Dialect.PLAIN: (H.PLAIN_CORRELATION_ID, H.PLAIN_REPLY_TO),
}


class ReplyAddress(Struct, frozen=True, kw_only=True):
    """Correlation id: 1..64 opaque bytes. Partition: None lets the sender choose one."""

    correlation_id: bytes
    topic: str
    partition: int | None = None
    dialect: Dialect = Dialect.WEIR

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The address as request headers, so that it survives the next hop."""
        correlation_key, topic_key = _KEYS[self.dialect]
        out = [(correlation_key, self.correlation_id), (topic_key, self.topic.encode())]
        if self.partition is not None:
            if self.dialect is Dialect.SPRING:
                out.append((H.SPRING_REPLY_PARTITION, self.partition.to_bytes(4)))
            else:
                out.append((H.REPLY_PARTITION, b"%d" % self.partition))
        return out

    @classmethod
    def from_headers(cls, headers: HeaderMap) -> Self | None:
        """Read the address; None when the caller wants no answer. Raises BadRecord for half an address."""
        for dialect, (correlation_key, topic_key) in _KEYS.items():
            if topic_key in headers:
                made = cls(correlation_id=headers.get(correlation_key, b""), topic=required(headers, topic_key),
                           partition=_partition(headers, dialect), dialect=dialect)
                made.check()
                return made
        return None

    def check(self) -> None:
        """Whether an answer could be sent there and matched. Raises BadRecord."""
        if not 1 <= len(self.correlation_id) <= MAX_CORRELATION_BYTES:
            raise BadRecord(f"header {_KEYS[self.dialect][0]} must have 1 to {MAX_CORRELATION_BYTES} bytes, "
                            f"it has {len(self.correlation_id)}; without it the answer could not be matched")
        if not _is_name(self.topic):
            raise BadRecord(f"header {_KEYS[self.dialect][1]} is no topic name: 1 to 249 letters, digits, dots, "
                            "dashes and underscores")
        if self.partition is not None and not 0 <= self.partition <= MAX_PARTITION:
            raise BadRecord(f"reply partition {self.partition} is not one from 0 to {MAX_PARTITION}")

    def allowed_by(self, prefixes: Sequence[str]) -> bool:
        """Whether answers may be written to this topic."""
        return _allowed(self.topic, tuple(prefixes))

    def answer_headers(self) -> list[tuple[str, bytes]]:
        """The correlation id under the key that the caller looks for."""
        return [(_KEYS[self.dialect][0], self.correlation_id)]


@lru_cache(maxsize=1000)
def _allowed(topic: str, prefixes: tuple[str, ...]) -> bool:
    return any(topic == prefix or (prefix.endswith(".") and topic.startswith(prefix)) for prefix in prefixes)


@lru_cache(maxsize=1000)
def _is_name(topic: str) -> bool:
    """Kafka's own rule: a client that is asked for another name asks the broker for it again and again."""
    return _TOPIC.fullmatch(topic) is not None


def _partition(headers: HeaderMap, dialect: Dialect) -> int | None:
    if dialect is Dialect.SPRING:
        raw = headers.get(H.SPRING_REPLY_PARTITION)
        if raw is None:
            return None
        if len(raw) != 4:
            raise BadRecord(f"header {H.SPRING_REPLY_PARTITION} must be a 4-byte big-endian integer")
        return int.from_bytes(raw)
    return integer(headers, H.REPLY_PARTITION)


def correlation_of_reply(headers: HeaderMap) -> bytes | None:
    """The correlation id of a reply record in Weir's own dialect."""
    return headers.get(H.CORRELATION_ID)
