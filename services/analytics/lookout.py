"""What the usage topic has from an offset on, asked beside the stream processor.

In:    a partition, an offset.
Out:   the first envelope there, the partition's first offset.
Never: a group, a commit; a look while the processor gets what it waits for.
"""

from services.analytics.follow import Ahead
from shared.kafka.span import SpanReader
from shared.names import topics
from shared.settings.kafka import KafkaSettings


class Lookout:
    """A reader of its own for each look."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Looks when asked."""
        self._kafka = kafka

    async def look(self, partition: int, offset: int) -> Ahead:
        """What comes first from an offset on. Raises KafkaUnavailable, SendFailed."""
        reader = SpanReader(self._kafka, topics.USAGE)
        await reader.start()
        try:
            start, end = (await reader.starts())[partition], (await reader.ends())[partition]
            async for records in reader.read({partition: max(offset, start)}, {partition: end}):
                if records:
                    return Ahead(records[0].offset, start)
            return Ahead(end, start)
        finally:
            await reader.stop()
