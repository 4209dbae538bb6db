"""Where a sink goes on, and what it has missed for ever.

In:    what the group has committed, what the topic still holds.
Out:   a log line for what is gone.
Never: a place of its own choice.
"""

from services.sinks.writer import say_lost
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, translate
from shared.kafka.span import SpanReader
from shared.names import topics
from shared.settings.kafka import KafkaSettings


class Beginning:
    """Looks once, when the sink starts."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        """Of a group."""
        self._kafka, self._group = kafka, group

    async def start(self) -> None:
        """Say what was gone before it was read. Raises KafkaUnavailable, SendFailed."""
        reader = SpanReader(self._kafka, topics.USAGE)
        await reader.start()
        admin = connect.admin(self._kafka)
        try:
            await admin.start()
            committed = await admin.list_consumer_group_offsets(self._group)
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for what group {self._group} has read") from exc
        else:
            first = await reader.starts()
        finally:
            await admin.close()
            await reader.stop()
        say_lost({place.partition: found.offset for place, found in committed.items() if found.offset >= 0}, first)

    async def stop(self) -> None:
        """Nothing is open."""
