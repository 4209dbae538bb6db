"""The `publish` step: a record on a topic of the company's own.

In:    topic, key, headers, value, with expressions.
Out:   null, once the broker has it.
Never: a topic that the settings do not list; Weir's own topics, whatever they list.
"""

import asyncio
from collections.abc import Sequence

from aiokafka.partitioner import DefaultPartitioner

from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler, propagated
from shared.errors import WorkflowFailed
from shared.kafka.faults import KafkaUnavailable, RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import headers as H
from shared.project.expressions import as_text, compile_value
from shared.project.steps.values import is_own_topic
from shared.project.steps.work import PublishSettings
from shared.project.written import to_json
from shared.telemetry.tracing import context_of, sent

# the one that Kafka's own clients use: a key goes where they would send it
_partition_of = DefaultPartitioner()


class PublishStep:
    """A text goes out as it is, everything else as JSON."""

    effect = True

    def __init__(self, settings: PublishSettings, _: Compiler) -> None:
        """Compiles the expressions once."""
        self._topic, self._key = settings.topic, compile_value(settings.key)
        self._headers, self._value = compile_value(settings.headers), compile_value(settings.value)

    async def run(self, scene: Scene) -> None:
        """Raises WorkflowFailed: topic-refused, record-too-large, publish-failed."""
        if not may_publish(self._topic, scene.surroundings.publish_topics):
            raise WorkflowFailed(f"workflows may not publish to {self._topic!r}; WEIR_EXECUTOR_PUBLISH_TOPICS lists "
                                 "the topics that they may", kind="topic-refused")
        key, value = await rendered(self._key, scene), await rendered(self._value, scene)
        headers = {name: as_text(one) for name, one in (await rendered(self._headers, scene)).items()
                   if one is not None}
        sending = scene.surroundings.tracing.send(self._topic, scene.trace)
        headers = propagated(scene, context_of(sending, scene.trace)) | headers
        if scene.effect_key is not None:
            headers.setdefault(H.IDEMPOTENCY_KEY, scene.effect_key)
        raw_key = None if key is None else as_text(key).encode()
        outbox = scene.surroundings.outbox
        try:
            # also without a key: a record for a topic that is not there would look as if the broker did not answer
            partitions = await self._partitions(outbox)
            partition = None if raw_key is None else int(_partition_of(raw_key, partitions, partitions))
            acknowledged = outbox.send(self._topic, value.encode() if isinstance(value, str) else to_json(value),
                              [(name, one.encode()) for name, one in headers.items()], key=raw_key,
                                       partition=partition)
            sent(sending, [acknowledged])
            # all of a batch share it: one that is ended ends no other
            await asyncio.shield(acknowledged)
        except RecordTooLarge as exc:
            raise WorkflowFailed(str(exc), kind="record-too-large") from exc
        except (KafkaUnavailable, SendFailed) as exc:
            raise WorkflowFailed(f"the broker did not take the record: {exc}", kind="publish-failed",
                                 status=503) from exc

    async def _partitions(self, outbox: Outbox) -> list[int]:
        try:
            return await outbox.partitions(self._topic)
        except SendFailed as exc:
            raise WorkflowFailed(f"topic {self._topic!r} is not there, or not for the executor to write to: whoever "
                                 f"looks after Kafka creates it ({type(exc.__cause__).__name__})",
                                 kind="publish-failed", status=503) from exc


def may_publish(topic: str, allowed: Sequence[str]) -> bool:
    """Whether workflows may write to a topic; `allowed`: names, and prefixes that end in a dot."""
    if is_own_topic(topic):
        return False
    return any(topic == one or (one.endswith(".") and topic.startswith(one)) for one in allowed)
