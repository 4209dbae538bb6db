"""Topics that callers name: which of them are there, and what partitions they have.

In:    a producer's client, a topic.
Out:   its partitions, or the client's own error for a topic that is not there.
Never: a second wait for a topic that was not there a moment ago, for a record that waits holds up those of everybody;
more topics in the client's mind than `_MOST`, for it asks the broker about all of them again and again.
"""

import asyncio
import math
import time
from collections import OrderedDict
from typing import Any

from shared.kafka.faults import NotAuthorized, UnknownTopic

# a topic that has just been made may be unknown to a broker for so long
_PATIENCE_S, _PAUSE_S = 1.0, 0.1
# the least time between two looks for a topic that is not there
_REST_S = 1.0
# so many may be waited for at a time: whoever names others by the thousand must not hold up everybody's records
_MOST_AWAITED = 100
_MOST = 2_000


class Strangers:
    """Remembers which topics were not there."""

    def __init__(self) -> None:
        """Nobody has named a topic."""
        # when each that is not there was looked for last, by the clock that never goes back
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._named: OrderedDict[str, None] = OrderedDict()
        # how often a topic is waited for just now
        self._awaited = 0

    async def partitions(self, client: Any, topic: str) -> list[int]:
        """Raises UnknownTopic, NotAuthorized. Without a broker it waits for one: how long is for the caller to say."""
        found = client.cluster.partitions_for_topic(topic)
        if found is None:
            self._awaited += 1
            try:
                found = await self._look(client, topic)
            except asyncio.CancelledError:
                # whoever asked waits no longer, and may never ask again
                if topic not in self._named:
                    self._forget(client, topic)
                raise
            finally:
                self._awaited -= 1
        self._missing.pop(topic, None)
        self._remember(client, topic)
        return sorted(found)

    async def _look(self, client: Any, topic: str) -> set[int]:
        asked_s = self._missing.get(topic, -math.inf)
        if time.monotonic() - asked_s < _REST_S:
            raise UnknownTopic
        patience_s = _PAUSE_S if topic in self._missing or self._awaited > _MOST_AWAITED else _PATIENCE_S
        until_s = None
        while True:
            client.add_topic(topic)
            answered = await client.force_metadata_update()
            found: set[int] | None = client.cluster.partitions_for_topic(topic)
            if found is not None:
                return found
            now_s = time.monotonic()
            if topic in client.cluster.unauthorized_topics:
                self._miss(client, topic, now_s)
                raise NotAuthorized(topic)
            if answered:
                # nothing is known of a topic as long as no broker answers
                until_s = until_s or now_s + patience_s
                if now_s >= until_s:
                    self._miss(client, topic, now_s)
                    raise UnknownTopic
            await asyncio.sleep(_PAUSE_S)

    def _miss(self, client: Any, topic: str, now_s: float) -> None:
        self._missing[topic] = now_s
        while len(self._missing) > _MOST:
            self._missing.popitem(last=False)
        self._forget(client, topic)

    def _remember(self, client: Any, topic: str) -> None:
        # one that the client knows by chance, as it first asks for all there are, it would lose with the next look
        client._topics.add(topic)
        self._named[topic] = None
        self._named.move_to_end(topic)
        while len(self._named) > _MOST:
            self._forget(client, next(iter(self._named)))

    def _forget(self, client: Any, topic: str) -> None:
        self._named.pop(topic, None)
        # it would be asked for with each look at the cluster, for as long as the process lives
        client._topics.discard(topic)
