"""A record that could not be used, on `weir.dead-letters`; and what an operator did about it, on the same topic.

In:    the original record and what was wrong with it; a decision about a letter.
Out:   `DeadLetter`, `LetterNote`, both ways; what is sent when a letter is replayed.
Never: a secret: the values of headers that hold one are replaced before the record goes to rest.

Letter: the value is the original value, byte for byte, the key the original key. Headers: the original ones, then
`weir-dead-topic`, `-partition`, `-offset` (the place), `-service`, `-error`, `-time` (unix ms); `-cut` instead of the
original ones, and no value, where the record leaves no room for them.

Note: no value. Headers: `weir-dead-note` (`replayed` or `dropped`), `weir-dead-letter` (offset of the letter),
`weir-dead-time`, `weir-request-id`. A letter has no note or several; the topic keeps all of them as long as letters.

A replayed record has its original headers but for those of the letter, and `weir-replay-of` (offset of the letter):
when it dies again, the new letter says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, cast

import msgspec

from shared.contracts import codec
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.request import RequestRecord
from shared.errors import BadRecord
from shared.names import headers as H
from shared.names import topics

REMOVED = b"[removed]"
Outcome = Literal["replayed", "dropped"]
Headers = list[tuple[str, bytes]]
_OF_THE_LETTER = frozenset({H.DEAD_TOPIC, H.DEAD_PARTITION, H.DEAD_OFFSET, H.DEAD_SERVICE, H.DEAD_ERROR, H.DEAD_TIME,
                            H.DEAD_CUT, H.REPLAY_OF})
_REPLY_ADDRESS = frozenset({H.CORRELATION_ID, H.REPLY_TOPIC, H.REPLY_PARTITION, H.SPRING_CORRELATION_ID,
                            H.SPRING_REPLY_TOPIC, H.SPRING_REPLY_PARTITION, H.PLAIN_CORRELATION_ID, H.PLAIN_REPLY_TO})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """The place, the reader, the reason."""

    origin: Origin
    service: str
    error: str
    time_ms: int

    def to_headers(self, original: Sequence[tuple[str, bytes | None]]) -> Headers:
        """Headers of the dead letter."""
        kept = [(key, REMOVED if key.lower() in H.SECRET_HEADERS else value or b"") for key, value in original]
        return [
            *kept, (H.DEAD_TOPIC, self.origin.topic.encode()), (H.DEAD_PARTITION, b"%d" % self.origin.partition),
            (H.DEAD_OFFSET, b"%d" % self.origin.offset), (H.DEAD_SERVICE, self.service.encode()),
            (H.DEAD_ERROR, self.error.encode(errors="replace")), (H.DEAD_TIME, b"%d" % self.time_ms),
        ]

    @classmethod
    def from_headers(cls, pairs: Sequence[tuple[str, bytes | None]]) -> Self:
        """Read a letter; its own headers stand last, whatever the original ones are called. Raises BadRecord."""
        own = {key: value for key, value in pairs if value is not None and key in _OF_THE_LETTER}
        return cls(origin=Origin(codec.required(own, H.DEAD_TOPIC), _number(own, H.DEAD_PARTITION),
                                 _number(own, H.DEAD_OFFSET)),
                   service=codec.required(own, H.DEAD_SERVICE), error=codec.text(own, H.DEAD_ERROR) or "",
                   time_ms=_number(own, H.DEAD_TIME))


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterNote:
    """What was done about a letter, and when; the request id under which it was replayed."""

    letter: int
    outcome: Outcome
    time_ms: int
    request_id: str = ""

    def to_headers(self) -> Headers:
        """Headers of the note."""
        return [(H.DEAD_NOTE, self.outcome.encode()), (H.DEAD_LETTER, b"%d" % self.letter),
                (H.DEAD_TIME, b"%d" % self.time_ms), (H.REQUEST_ID, self.request_id.encode())]

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap) -> Self:
        """Read a note. Raises BadRecord."""
        outcome = codec.text(headers, H.DEAD_NOTE)
        if outcome not in ("replayed", "dropped"):
            raise BadRecord(f"header {H.DEAD_NOTE} is neither replayed nor dropped: {outcome!r}")
        return cls(letter=_number(headers, H.DEAD_LETTER), outcome=cast(Outcome, outcome),
                   time_ms=_number(headers, H.DEAD_TIME), request_id=codec.text(headers, H.REQUEST_ID) or "")


def is_note(headers: codec.HeaderMap) -> bool:
    """Whether a record of the topic is a note. A letter always has a place, a note never."""
    return H.DEAD_NOTE in headers and H.DEAD_TOPIC not in headers


def original(pairs: Sequence[tuple[str, bytes | None]]) -> Headers:
    """The headers that the dead record had, but for its secrets."""
    # of one that had no room in its letter they come from the record itself, secrets and all
    return [(key, value or b"") for key, value in pairs
            if key not in _OF_THE_LETTER and key.lower() not in H.SECRET_HEADERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How a letter is sent again. The request id is its own; `request_id` is for one that had none."""

    letter: int
    request_id: str
    deadline_ms: int
    answered: bool = True

    def to_headers(self, topic: str, headers: Headers, value: bytes | None) -> Headers:
        """Headers of the record: a new deadline, for the old one has passed; no reply address where nobody waits."""
        mark = (H.REPLAY_OF, b"%d" % self.letter)
        if topic == topics.EXECUTIONS:
            return [*self._execution(headers, value), mark]
        if topic not in topics.REQUESTS:
            return [*headers, mark]
        if topic == topics.REQUESTS_EDGE and H.REQUEST in codec.header_map(headers):
            return [*self._request(headers, value), mark]
        silent = not self.answered or codec.header_map(headers).get(H.REPLY_TOPIC) == topics.REPLIES.encode()
        kept = [(key, found) for key, found in headers if key != H.DEADLINE
                and not (silent and key in _REPLY_ADDRESS)]
        if H.REQUEST_ID not in codec.header_map(kept):
            kept.append((H.REQUEST_ID, self.request_id.encode()))
        return [*kept, (H.DEADLINE, b"%d" % self.deadline_ms), mark]

    def _request(self, headers: Headers, value: bytes | None) -> Headers:
        """One that cannot be read is sent as it was."""
        try:
            record = RequestRecord.from_headers(codec.header_map(headers), value, edge=True)
        except BadRecord:
            return headers
        again = msgspec.structs.replace(record, deadline_ms=self.deadline_ms,
                                        request_id=record.request_id or self.request_id)
        return again.enclosed(self._address(record.reply_to))

    def _execution(self, headers: Headers, value: bytes | None) -> Headers:
        """One that cannot be read is sent as it was."""
        try:
            record = ExecutionRecord.from_headers(codec.header_map(headers), value)
        except BadRecord:
            return headers
        return msgspec.structs.replace(record, deadline_ms=self.deadline_ms,
                                       reply_to=self._address(record.reply_to)).to_headers()

    def _address(self, address: ReplyAddress | None) -> ReplyAddress | None:
        """Where the answer goes: nowhere, when nobody waits there any more."""
        return None if address is None or not self.answered or address.topic == topics.REPLIES else address


def _number(headers: codec.HeaderMap, key: str) -> int:
    found = codec.integer(headers, key)
    if found is None:
        raise BadRecord(f"header {key} is missing")
    return found
