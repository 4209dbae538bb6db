"""The `operation` step, without another project."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from services.executor.neighbours import Neighbours
from services.executor.retries import kind_of, retry_after_ms
from shared.contracts.reply import ReplyRecord
from shared.contracts.request import RequestRecord
from shared.errors import WeirError
from tests.unit.services.executor.test_run import ANSWER, perform

CALL = {"id": "next", "operation": {"project": "other", "operation": "o"}}


async def test_circle_of_operations_ends_at_its_bound_with_a_kind_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def ask(_: Neighbours, request: RequestRecord, *__: Any) -> ReplyRecord:
        asked.append(request.depth)
        return ReplyRecord(request_id=request.request_id, status=200)
    monkeypatch.setattr(Neighbours, "ask", ask)
    for depth in (0, 7):
        made, _ = await perform([CALL, ANSWER], depth=depth)
        assert made.status == 200
    error, _ = await perform([CALL, ANSWER], depth=8)
    assert isinstance(error, WeirError)
    assert (kind_of(error), "WEIR_EXECUTOR_MAX_DEPTH" in str(error), asked) == ("too-deep", True, [1, 8])


async def test_operation_that_asks_for_time_gets_it_however_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for headers in ({"Retry-After": "7"}, {"retry-after": "7"},
                    {"Retry-After": formatdate(time.time() + 7, usegmt=True)}):
        async def ask(_: Neighbours, request: RequestRecord, *__: Any, said: dict[str, str] = headers) -> ReplyRecord:
            return ReplyRecord(request_id=request.request_id, status=503, headers=said)
        monkeypatch.setattr(Neighbours, "ask", ask)
        error, _ = await perform([CALL, ANSWER])
        assert isinstance(error, WeirError)
        assert 5_500 < retry_after_ms(error) <= 7_000
