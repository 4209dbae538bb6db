"""What becomes of a change that cannot be written."""

import pytest

from services.control.registry import Registry
from shared.contracts.config import ProjectVersion
from shared.errors import BodyTooLarge
from tests.support.fakes import FakeOutbox, StoppedClock


async def test_change_that_is_larger_than_a_record_is_not_worth_another_try() -> None:
    outbox = FakeOutbox(largest=1_000)
    registry = Registry(outbox, StoppedClock())  # type: ignore[arg-type]
    made = ProjectVersion(project="p", version=1, files={"weir.yaml": "x" * 2_000}, document={}, time=0)
    with pytest.raises(BodyTooLarge, match="nothing was written"):
        async with registry.changing() as write:
            await write(made, "apply")
    assert (outbox.sent, registry.catalogue.projects()) == ([], [])
