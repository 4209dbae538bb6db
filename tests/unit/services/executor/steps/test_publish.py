"""What the publish step hands to Kafka."""

import asyncio
from typing import Any, cast

import pytest

from shared.errors import WeirError
from shared.kafka.outbox import Outbox
from tests.unit.services.executor.test_run import perform

STEP = {"id": "p", "publish": {"topic": "shop.orders", "value": 1}}
ANSWER = {"id": "answer", "reply": {"body": 1}}


class Heard:
    """An outbox that keeps what is sent."""

    def __init__(self) -> None:
        self.headers: dict[str, bytes] = {}

    def send(self, topic: str, value: bytes, headers: list[tuple[str, bytes]], **_: Any) -> asyncio.Future[None]:
        self.headers = dict(headers)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged


@pytest.mark.parametrize(("text", "arrives"), [
    ("{% trigger.n %}", b"7"), ("{% trigger.none %}", None), ("a{% trigger.none %}", b"a")])
async def test_header_that_is_null_is_not_written(text: str, arrives: bytes | None) -> None:
    heard = Heard()
    step = {"id": "p", "publish": {"topic": "shop.orders", "headers": {"x-own": text}, "value": 1}}
    made, _ = await perform([step, {"id": "answer", "reply": {}}], outbox=cast(Outbox, heard), trigger={"n": 7})
    assert not isinstance(made, WeirError), made
    assert heard.headers.get("x-own") == arrives


async def test_step_that_is_out_of_time_takes_no_other_of_its_batch_along() -> None:
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Batch:
        def send(self, *_: Any, **__: Any) -> asyncio.Future[None]:
            return acknowledged
    asyncio.get_running_loop().call_later(0.2, lambda: acknowledged.done() or acknowledged.set_result(None))
    hasty, patient = await asyncio.gather(*(
        perform([step, ANSWER], outbox=cast(Outbox, Batch())) for step in (STEP | {"timeout": "20ms"}, STEP)))
    assert (str(hasty[0]), patient[0].status) == ("step 'p' did not finish within 20 ms", 200)
