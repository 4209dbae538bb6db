"""The door for questions: queries in, answers out.

In:    records of the queries topic.
Out:   replies, dead letters.
Never: a question that waits for a long one before it: those are answered beside the others.
"""

import asyncio
import logging
from dataclasses import dataclass

from services.analytics.settings import AnalyticsSettings
from services.analytics.verify import Verifier
from shared.contracts.codec import header_map
from shared.contracts.query import UsageQuery
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.reply_address import ReplyAddress
from shared.errors import BadRecord, WeirError
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record import Record
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.usage.queries import Queries

log = logging.getLogger(__name__)
REPLY_PREFIXES = ("weir.replies", "replies.")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDesk:
    """Answers one query after the other; built in `wire.py`."""

    queries: Queries
    verifier: Verifier
    answers: Answers
    dead_letters: DeadLetters
    tasks: Tasks
    settings: AnalyticsSettings
    max_buckets: int

    async def answer(self, record: Record) -> None:
        """Answer a query, if it says where to."""
        try:
            address = ReplyAddress.from_headers(header_map(record.headers))
            if address is None or not address.allowed_by(REPLY_PREFIXES):
                raise BadRecord("the query names no reply topic that answers may be written to")
        except BadRecord as exc:
            await self.dead_letters.bury(record, str(exc))
            return
        try:
            query = UsageQuery.from_json(record.value)
        except WeirError as error:
            await self._reply(record, address, error_reply(error, ""))
            return
        if query.ask == "verify":
            self.tasks.spawn(self._work(record, address, query), "verify")
        else:
            await self._work(record, address, query)

    async def _work(self, record: Record, address: ReplyAddress, query: UsageQuery) -> None:
        try:
            if query.ask == "verify":
                found = await self.verifier.verify(query, self.max_buckets,
                                                   self.settings.max_verify_envelopes)
                body = found.to_json()
            else:
                body = await self.queries.answer(query)
            reply = ReplyRecord(request_id="", status=200, body=body)
        except WeirError as known:
            reply = error_reply(known, "")
        except Exception as exc:
            # a question that cannot be answered is no reason to stop counting
            log.exception("a query failed", extra={"action": actions.REQUEST_FAILED})
            error = WeirError(f"the query failed: {type(exc).__name__}; the log of analytics says more")
            reply = error_reply(error, "")
        await self._reply(record, address, reply)

    async def _reply(self, record: Record, address: ReplyAddress, reply: ReplyRecord) -> None:
        await asyncio.gather(*self.answers.send(address, reply, record))
