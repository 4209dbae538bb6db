"""What a group lacks is said before a client begins that would not."""

import logging
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError

from shared.kafka import connect, rights
from shared.kafka.faults import SendFailed
from shared.settings.kafka import KafkaSettings

NO_SUCH_TOPIC, NOT_ALLOWED = 3, 29


class Admin:
    """`says`: error code of each topic; `refuses`: what it says of the group."""

    def __init__(self, says: dict[str, int], refuses: Exception | None = None) -> None:
        self.says, self.refuses, self.closed = says, refuses, False

    async def start(self) -> None:
        """Connected."""

    async def list_consumer_group_offsets(self, _: str) -> dict[Any, Any]:
        if self.refuses is not None:
            raise self.refuses
        return {}

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return [{"topic": topic, "error_code": self.says[topic]} for topic in topics]

    async def close(self) -> None:
        self.closed = True


async def look(monkeypatch: pytest.MonkeyPatch, admin: Admin) -> None:
    monkeypatch.setattr(connect, "admin", lambda _: admin)
    try:
        await rights.look(KafkaSettings(), "weir-analytics", ("weir.usage", "weir.queries"))
    finally:
        assert admin.closed


@pytest.mark.parametrize(("admin", "lacks"), [
    (Admin({"weir.usage": 0, "weir.queries": NOT_ALLOWED}), r"reading weir\.queries"),
    (Admin({}, GroupAuthorizationFailedError("weir-analytics")), "group weir-analytics")], ids=["topic", "group"])
async def test_start_without_a_right_ends_and_names_it(
        monkeypatch: pytest.MonkeyPatch, admin: Admin, lacks: str) -> None:
    with pytest.raises(SendFailed, match=rf"{lacks}.*`python -m deploy\.kafka\.acls`"):
        await look(monkeypatch, admin)


@pytest.mark.parametrize("admin", [
    Admin({"weir.usage": 0, "weir.queries": NO_SUCH_TOPIC}), Admin({}, GroupCoordinatorNotAvailableError())],
    ids=["no such topic", "no coordinator yet"])
async def test_start_is_not_held_up_by_what_is_no_matter_of_rights(
        monkeypatch: pytest.MonkeyPatch, admin: Admin, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await look(monkeypatch, admin)
    assert len(caplog.records) == (admin.refuses is not None)
