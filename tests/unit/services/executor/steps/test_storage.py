"""What the storage step asks of the store."""

from typing import Any, cast

import pytest

from shared.errors import WeirError
from shared.store.redis import Store
from tests.unit.services.executor.test_run import perform


class Asked:
    """A store that keeps what it was asked."""

    def __init__(self) -> None:
        self.places: list[str] = []

    async def run(self, script: str, keys: list[str], arguments: list[Any]) -> bytes:
        self.places.append(arguments[0])
        return b"1"


@pytest.mark.parametrize("action", ["get", "set", "append", "shift", "increment", "delete"])
async def test_key_that_a_caller_sent_is_bounded(action: str) -> None:
    asked = Asked()
    step = {"id": "s", "storage": {"action": action, "key": "{% trigger.key %}"}}
    made, _ = await perform([step, {"id": "a", "reply": {}}], store=cast(Store, asked), trigger={"key": "ü" * 500})
    assert isinstance(made, WeirError)
    assert (made.members["error"], asked.places) == ("stored-too-large", [])
    assert "a key of 10" in str(made)
    await perform([step, {"id": "a", "reply": {}}], store=cast(Store, asked), trigger={"key": "ü" * 400})
    assert asked.places == ["weir:storage:p:project:" + "ü" * 400]


@pytest.mark.parametrize("key", ["{% trigger.key %}", "{% trigger.none %}", "{% trigger.empty %}",
                                 "{% trigger.key %}{% trigger.none %}"])
async def test_key_of_nothing_is_no_place_that_all_share(key: str) -> None:
    asked = Asked()
    made, _ = await perform([{"id": "s", "storage": {"key": key}}, {"id": "a", "reply": {}}], store=cast(Store, asked),
                            trigger={"key": None, "empty": ""})
    assert isinstance(made, WeirError)
    assert (made.members["error"], asked.places) == ("storage-key-empty", [])
