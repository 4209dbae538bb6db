"""Write answers to where callers wait for them.

In:    a reply, the address, the record that it answers.
Out:   a record on the reply topic, in the caller's dialect.
Never: a stopped service because a caller named a reply topic or partition that does not exist: such an answer is
logged, and the request becomes a dead letter.
"""

import asyncio
import logging
from contextvars import Context
from zlib import crc32

import msgspec

from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.errors import WeirError
from shared.kafka.dead_letters import DeadLetters, told_by
from shared.kafka.faults import NoSuchPartition, RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox
from shared.kafka.record import Record
from shared.names import actions, topics

log = logging.getLogger(__name__)
# the topic of an answer, the same in all of a batch, and the record that it answers
_Answered = tuple[str, Record]


class Answers:
    """Used by whoever ends a request."""

    def __init__(self, outbox: Outbox, dead_letters: DeadLetters) -> None:
        """Both are started elsewhere."""
        self._outbox, self._dead_letters = outbox, dead_letters
        # what each batch on its way settles, and what it answers
        self._on_their_way: dict[asyncio.Future[None], tuple[asyncio.Future[None], list[_Answered]]] = {}

    async def placed(self, address: ReplyAddress) -> ReplyAddress:
        """The address with a partition: an answer in parts stays on one."""
        if address.partition is not None:
            return address
        try:
            partitions = await self._outbox.partitions(address.topic)
        except WeirError:
            return address
        return msgspec.structs.replace(address, partition=partitions[crc32(address.correlation_id) % len(partitions)])

    def send(self, address: ReplyAddress, reply: ReplyRecord, record: Record) -> list[asyncio.Future[None]]:
        """Publish; returns what has to be acknowledged before the record is done: one future for all of a batch."""
        headers = [*address.answer_headers(), *reply.to_headers()]
        try:
            sent = self._outbox.send(address.topic, reply.body, headers, partition=address.partition)
        except SendFailed as exc:
            return [self._dead_letters.bury(record, f"the answer could not be sent: {exc}")]
        found = self._on_their_way.get(sent)
        if found is None:
            found = self._on_their_way[sent] = asyncio.get_running_loop().create_future(), []
            # of several requests: what is told of them is not about the one that came first
            sent.add_done_callback(self._settle, context=Context())
        settled, answered = found
        answered.append((address.topic, record))
        return [settled]

    def _settle(self, done: asyncio.Future[None]) -> None:
        settled, answered = self._on_their_way.pop(done)
        error = done.exception()
        if (error is not None and answered[0][0] == topics.REPLIES
                and not isinstance(error, NoSuchPartition | RecordTooLarge)):
            # the cluster's own callers wait there: the request is better redelivered than left without an answer, but
            # for one that would be refused again
            settled.set_exception(error)
            return
        for topic, record in answered if error is not None else ():
            log.warning("answer to %s is lost: %s", topic, error,
                        extra={"action": actions.REPLY_LOST, **told_by(record)})
            self._dead_letters.bury(record, f"the answer to {topic} could not be sent: {error}")
        settled.set_result(None)
