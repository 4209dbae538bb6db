"""The door: envelopes and queries in, counts and answers out.

In:    messages of the stream processor.
Out:   the ledger's entries, replies, dead letters.
Never: an envelope given up because the store is away: it waits.
"""

import asyncio
import logging
from dataclasses import dataclass

from services.analytics.fold import fold
from services.analytics.ledger import Ledger
from services.analytics.queries import Queries
from services.analytics.settings import AnalyticsSettings
from shared.contracts.codec import header_map
from shared.contracts.reply import error_reply
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.usage import Envelope
from shared.errors import BadRecord, WeirError
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record import Record
from shared.names import actions
from shared.store.redis import StoreUnavailable

log = logging.getLogger(__name__)
REPLY_PREFIXES = ("weir.replies", "replies.")


class LedgerWentBack(RuntimeError):
    """The store has forgotten entries it had acknowledged; only a restart from its own offsets makes them good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsParts:
    """What the door works with; built in `wire.py`."""

    settings: AnalyticsSettings
    ledger: Ledger
    queries: Queries
    answers: Answers
    dead_letters: DeadLetters


class Counter:
    """Handles envelopes one after the other, and queries."""

    def __init__(self, parts: AnalyticsParts) -> None:
        """Nothing counted yet."""
        self._parts = parts
        self._last: dict[int, int] = {}

    def forget_places(self) -> None:
        """After a rebalance the store's offsets are the truth again."""
        self._last.clear()

    async def count(self, record: Record) -> None:
        """Count one envelope. Raises LedgerWentBack."""
        try:
            increments = fold(Envelope.from_record(record.value, header_map(record.headers)).events)
        except BadRecord as exc:
            await self._parts.dead_letters.bury(record, str(exc))
            return
        while True:
            try:
                entry = await self._parts.ledger.enter(record.partition, record.offset, increments)
                break
            except StoreUnavailable as exc:
                log.warning("the ledger waits: %s", exc, extra={"action": actions.STORE_AWAY})
                await asyncio.sleep(self._parts.settings.store_retry_s)
        if entry.before < self._last.get(record.partition, -1):
            raise LedgerWentBack(f"partition {record.partition}: the store was at {self._last[record.partition]}, "
                                 f"now at {entry.before}")
        self._last[record.partition] = max(record.offset, entry.before)

    async def answer(self, record: Record) -> None:
        """Answer one query, if it says where to."""
        try:
            address = ReplyAddress.from_headers(header_map(record.headers))
            if address is None or not address.allowed_by(REPLY_PREFIXES):
                raise BadRecord("the query names no reply topic that answers may be written to")
        except BadRecord as exc:
            await self._parts.dead_letters.bury(record, str(exc))
            return
        try:
            reply = await self._parts.queries.answer(record.value)
        except WeirError as error:
            reply = error_reply(error, "")
        await asyncio.gather(*self._parts.answers.send(address, reply, record))
