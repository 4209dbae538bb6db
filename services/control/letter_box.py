"""The dead letters, as far as the topic keeps them and memory allows.

In:    `weir.dead-letters`.
Out:   what is known of each letter, newest last; the bytes of one, read when somebody asks.
Never: bytes held in memory; a letter that is forgotten because somebody has replayed it.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.control.faults import Conflict
from shared.contracts.codec import header_map
from shared.contracts.dead_letter import DeadLetter, LetterNote, is_note
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.request import RequestRecord
from shared.errors import BadRecord, Unavailable
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS
from shared.kafka.record import Record
from shared.kafka.tail import Tail
from shared.kafka.watchdog import Watched
from shared.names import actions, topics
from shared.names import headers as H
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
PLACE = TopicPartition(topics.DEAD_LETTERS, 0)
WAITING = "waiting"
_READ_S = 5.0
_MAX_NAME = 200


@dataclass(slots=True, kw_only=True)
class Letter:
    """What is known of one letter without its bytes. `id`: its offset; `replay_of`: the letter that it was before."""

    id: int
    time: int
    service: str
    error: str
    origin: Origin
    project: str
    operation: str
    request_id: str
    size: int
    cut: bool
    replay_of: int | None
    notes: list[LetterNote] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Waiting, replayed or dropped."""
        return self.notes[-1].outcome if self.notes else WAITING

    @property
    def replayed_as(self) -> str:
        """The request id that a replay gave to one without an id; empty before that. What ran by it is known by it."""
        return next((note.request_id for note in self.notes if note.outcome == "replayed"), "")

    def to_doc(self) -> dict[str, Any]:
        """As JSON."""
        return {"id": self.id, "time": self.time, "state": self.state, "service": self.service, "error": self.error,
                "topic": self.origin.topic, "place": str(self.origin), "project": self.project,
                "operation": self.operation, "request_id": self.request_id, "size": self.size, "cut": self.cut}


class LetterBox:
    """The newest letters; the oldest goes when a new one does not fit. `older`: how many have gone so."""

    def __init__(self, most: int) -> None:
        """Empty."""
        self._most = most
        self._letters: OrderedDict[int, Letter] = OrderedDict()
        self._busy: set[int] = set()
        self.older = 0

    def take(self, record: Record) -> None:
        """Take in a record of the topic. Raises BadRecord."""
        headers = header_map(record.headers)
        if is_note(headers):
            self.note(LetterNote.from_headers(headers))
            return
        self._letters[record.offset] = _letter(record)
        while len(self._letters) > self._most:
            self._letters.popitem(last=False)
            self.older += 1

    def note(self, note: LetterNote) -> None:
        """Something was done about a letter; the same note twice changes nothing."""
        letter = self._letters.get(note.letter)
        if letter is not None and note not in letter.notes:
            letter.notes.append(note)

    @contextmanager
    def alone(self, letter: Letter) -> Iterator[None]:
        """Nobody else sends it meanwhile: two who replay it at once would have its work done twice. Raises Conflict."""
        if letter.id in self._busy:
            raise Conflict(f"letter {letter.id} is being replayed at this moment; look at it, then try again")
        self._busy.add(letter.id)
        try:
            yield
        finally:
            self._busy.discard(letter.id)

    def find(self, letter_id: int) -> Letter | None:
        """One letter."""
        return self._letters.get(letter_id)

    def all(self) -> list[Letter]:
        """Every letter, newest first."""
        return list(reversed(self._letters.values()))

    def waiting(self) -> float:
        """How many nobody has replayed or dropped."""
        return Counter(letter.state for letter in self._letters.values())[WAITING]

    def history(self, letter: Letter) -> list[dict[str, Any]]:
        """What happened to the request of a letter, by time: its deaths, what was done about them."""
        kin = [one for one in self._letters.values() if one is letter or one.id == letter.replay_of
               or one.replay_of == letter.id or (letter.request_id and one.request_id == letter.request_id)]
        deaths = [{"time": one.time, "what": f"died in {one.service}", "letter": one.id, "detail": one.error}
                  for one in kin]
        notes = [{"time": note.time_ms, "what": note.outcome, "letter": note.letter,
                  "detail": f"request id {note.request_id}" if note.request_id else ""}
                 for one in kin for note in one.notes]
        return sorted([*deaths, *notes], key=lambda event: (event["time"], event["letter"]))


def _letter(record: Record) -> Letter:
    own, headers = DeadLetter.from_headers(record.headers), header_map(record.headers)
    project, operation = _name(headers.get(H.PROJECT)), _name(headers.get(H.OPERATION) or headers.get(H.PATH))
    request_id, replay_of = _name(headers.get(H.REQUEST_ID)), headers.get(H.REPLAY_OF, b"")
    try:
        if own.origin.topic == topics.EXECUTIONS:
            execution = ExecutionRecord.from_headers(headers, b"")
            project, operation = execution.project, execution.operation
        elif H.REQUEST in headers:
            request = RequestRecord.from_headers(headers, b"", edge=own.origin.topic == topics.REQUESTS_EDGE)
            project, operation = _shortened(request.project), _shortened(request.operation or request.path or "")
    except BadRecord:
        pass
    return Letter(
        id=record.offset, time=own.time_ms, service=own.service, error=own.error, origin=own.origin, project=project,
        operation=operation, request_id=request_id, size=len(record.value or b""), cut=H.DEAD_CUT in headers,
        replay_of=int(replay_of) if replay_of.isdigit() and len(replay_of) < 19 else None)


def _name(raw: bytes | None) -> str:
    return _shortened((raw or b"").decode(errors="replace"))


def _shortened(text: str) -> str:
    return text[:_MAX_NAME]


class LetterFollower:
    """Feeds the box from the topic, and reads the bytes of single records."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, box: LetterBox) -> None:
        """Reads once started."""
        self._settings, self._box = settings, box
        self._tail = Tail(settings, tasks, topics.DEAD_LETTERS)
        self._reader: AIOKafkaConsumer | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Begin to read; nobody waits for the end."""
        await self._tail.open()
        self._tail.follow(self._run())

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tail.stop()
        if self._reader is not None:
            await self._reader.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return self._tail.watched

    async def read(self, place: TopicPartition, offset: int) -> Record | None:
        """The record at a place; None when the topic does not keep it any more. Raises Unavailable."""
        async with self._lock:
            try:
                if self._reader is None:
                    self._reader = await connect.lone_consumer(self._settings)
                self._reader.assign([place])
                first = (await self._reader.beginning_offsets([place]))[place]
                end = (await self._reader.end_offsets([place]))[place]
                if not first <= offset < end:
                    return None
                self._reader.seek(place, offset)
                async with asyncio.timeout(_READ_S):
                    record: Record = await self._reader.getone(place)
            except CLIENT_ERRORS as exc:
                raise Unavailable(f"{place.topic} cannot be read: {exc!r}") from exc
        return record if record.offset == offset else None

    async def _run(self) -> None:
        while True:
            for record in await self._tail.poll():
                try:
                    self._box.take(record)
                except BadRecord as exc:
                    log.warning("record of %s at offset %d is no letter: %s", topics.DEAD_LETTERS, record.offset,
                                exc, extra={"action": actions.CONFIG_UNREADABLE})
