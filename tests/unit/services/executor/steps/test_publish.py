"""What the publish step hands to Kafka."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError, NotEnoughReplicasError, UnknownTopicOrPartitionError

from shared.errors import WeirError
from shared.kafka.faults import OutboxFull, translate
from shared.kafka.outbox import Outbox
from tests.unit.services.executor.test_run import perform

STEP = {"id": "p", "publish": {"topic": "shop.orders", "value": 1}}
ANSWER = {"id": "answer", "reply": {"body": 1}}


class Sends:
    """An outbox that keeps what is sent. `end`: of each acknowledgement; `topic`: why there is none."""

    def __init__(self, end: asyncio.Future[None] | Exception | None = None, topic: Exception | None = None) -> None:
        self.sent: list[dict[str, bytes]] = []
        self._end, self._topic = end, topic

    async def partitions(self, _: str) -> list[int]:
        if self._topic is not None:
            raise self._topic
        return [0, 1]

    def send(self, topic: str, value: bytes, headers: list[tuple[str, bytes]], **_: Any) -> asyncio.Future[None]:
        self.sent.append(dict(headers))
        if isinstance(self._end, asyncio.Future):
            return self._end
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None) if self._end is None else acknowledged.set_exception(self._end)
        return acknowledged


async def publish(sends: Sends, step: dict[str, Any] = STEP, **more: Any) -> Any:
    made, _ = await perform([step, ANSWER], outbox=cast(Outbox, sends), **more)
    return made


@pytest.mark.parametrize(("text", "arrives"), [
    ("{% trigger.n %}", b"7"), ("{% trigger.none %}", None), ("a{% trigger.none %}", b"a")])
async def test_header_that_is_null_is_not_written(text: str, arrives: bytes | None) -> None:
    sends = Sends()
    step = {"id": "p", "publish": {"topic": "shop.orders", "headers": {"x-own": text}, "value": 1}}
    made = await publish(sends, step, trigger={"n": 7})
    assert not isinstance(made, WeirError), made
    assert sends.sent[0].get("x-own") == arrives


async def test_step_that_is_out_of_time_takes_no_other_of_its_batch_along() -> None:
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.2, lambda: acknowledged.done() or acknowledged.set_result(None))
    hasty, patient = await asyncio.gather(*(
        publish(Sends(acknowledged), step) for step in (STEP | {"timeout": "20ms"}, STEP)))
    assert (str(hasty), patient.status) == ("step 'p' did not finish within 20 ms", 200)


# as the outbox tells them
AWAY = translate(KafkaConnectionError("no broker"), "publishing 1 records to shop.orders")
REFUSED = translate(NotEnoughReplicasError("1 of 2"), "publishing 1 records to shop.orders")


@pytest.mark.parametrize("sends", [
    pytest.param(Sends(AWAY), id="away"), pytest.param(Sends(REFUSED), id="refused"),
    pytest.param(Sends(OutboxFull("50000 records wait")), id="full"),
    pytest.param(Sends(topic=AWAY), id="away, and nobody knows the topic")])
@pytest.mark.parametrize("key", [None, "a"])
async def test_broker_that_does_not_take_a_record_fails_the_step_and_its_workflow_gets_over_it(
        sends: Sends, key: str | None) -> None:
    error = await publish(sends)
    assert (error.members["error"], error.status, error.members["step"]) == ("publish-failed", 503, "p")
    step = {"id": "p", "publish": {"topic": "shop.orders", "key": key, "value": 1}, "on_error": "continue"}
    assert (await publish(sends, step)).status == 200


@pytest.mark.parametrize("key", [None, "a"])
async def test_record_for_a_topic_that_is_not_there_is_not_left_to_the_outbox(key: str | None) -> None:
    sends = Sends(topic=_of(UnknownTopicOrPartitionError(), "looking for the topic"))
    error = await publish(sends, {"id": "p", "publish": {"topic": "shop.orders", "key": key, "value": 1}})
    assert (error.members["error"], sends.sent) == ("publish-failed", [])
    assert "'shop.orders' is not there" in str(error)
    assert "weir up" not in str(error)


def _of(cause: Exception, doing: str) -> Exception:
    error = translate(cause, doing)
    error.__cause__ = cause
    return error
