"""The one writer of the configuration.

In:    entities to write.
Out:   records on `weir.config`, in force here once `write` returns; a line each on `weir.audit`.
Never: two changes at once: a lock is held from the look at the state to the moment the change has been read back.

One control process runs per cluster. If two do, the later record under a key wins in the topic; the one that reads
back a foreign record under its key answers 409 and nothing half-written remains, for one record is one change.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from services.control.faults import Conflict
from shared.clock import Clock
from shared.contracts.audit import AuditLine
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import (
    Dropped,
    DroppedToken,
    DroppedVersion,
    Entity,
    Halt,
    Pin,
    ProjectVersion,
    Token,
    Written,
    to_value,
)
from shared.errors import BodyTooLarge, Unavailable
from shared.kafka.faults import KafkaUnavailable, RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics

_READ_BACK_S = 5.0


class Registry:
    """The catalogue, and the way to change it."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        """`take` has to be fed by a config follower."""
        self.catalogue = Catalogue()
        self._outbox, self._clock = outbox, clock
        self._lock = asyncio.Lock()
        self._read_back: dict[bytes, asyncio.Future[Entity]] = {}

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says."""
        for entity in entities:
            self.catalogue.put(entity)
            waiting = self._read_back.pop(entity.key, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(entity)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Callable[[Written, str], "asyncio.Future[None]"]]:
        """Hold the state still; yields `write(entity, what)`, to be awaited."""
        async with self._lock:
            yield lambda entity, what: asyncio.ensure_future(self._write(entity, what))

    async def _write(self, entity: Written, what: str) -> None:
        read_back: asyncio.Future[Entity] = asyncio.get_running_loop().create_future()
        self._read_back[entity.key] = read_back
        try:
            await self._outbox.send(topics.CONFIG, to_value(entity), [], key=entity.key, partition=0)
            async with asyncio.timeout(_READ_BACK_S):
                there = await read_back
        except RecordTooLarge as exc:
            raise BodyTooLarge(f"nothing was written: the change makes one record, and that is too large ({exc}). What "
                               "an alias (`*name`) stands for counts at each place where it stands") from exc
        except (SendFailed, KafkaUnavailable, TimeoutError) as exc:
            raise Unavailable(f"the change could not be written ({exc or 'not read back in time'}); "
                              "look at the state before you try again") from exc
        finally:
            self._read_back.pop(entity.key, None)
        if there != entity:
            raise Conflict("another control process has written this at the same moment; nothing of yours was kept")
        self.audit(what, entity.project, _subject(entity))

    def drop(self, project: str, outlived: Sequence[Dropped]) -> None:
        """Keep something of a project no longer: nobody waits for that, and what is not dropped now is later."""
        for dropped in outlived:
            self._outbox.send(topics.CONFIG, None, [], key=dropped.key, partition=0)
            what = "drop version" if isinstance(dropped, DroppedVersion) else "drop token"
            self.audit(what, project, _subject(dropped))

    def audit(self, what: str, project: str, subject: str | int) -> None:
        """Say on the audit topic what was changed."""
        line = AuditLine(time=self._clock.now_ms(), who="admin", what=what, project=project, subject=subject)
        self._outbox.send(topics.AUDIT, line.to_value(), [], key=project.encode())


def _subject(entity: Written | Dropped) -> str | int:
    match entity:
        case ProjectVersion() | DroppedVersion():
            return entity.version
        case Token() | DroppedToken():
            return entity.id
        case Halt():
            return entity.workflow
        case Pin():
            return entity.subject
        case _:
            return entity.name
