"""The `operation` step, without another project."""

import asyncio
import time
from email.utils import formatdate
from typing import Any

import pytest

from services.executor.journal import Journals
from services.executor.neighbours import Neighbours
from services.executor.retries import kind_of, retry_after_ms, status_of
from services.executor.steps import operation
from shared.client.replies import ReplyReader
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.request import RequestRecord
from shared.contracts.token import topic_digest
from shared.errors import IdempotencyRunning, TimedOut, Unavailable, WeirError
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.names import topics
from shared.names.headers import HTTP_REPLAYED
from shared.runtime.tasks import Tasks
from tests.unit.services.executor.outside.test_credentials import sealed
from tests.unit.services.executor.test_journal import Kept
from tests.unit.services.executor.test_run import ANSWER, nobody, nowhere, perform

CALL: dict[str, Any] = {"id": "next", "operation": {"project": "other", "operation": "o"}}


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


@pytest.mark.parametrize(("kind", "members", "digest"), [
    ("bearer", {"token": "t"}, topic_digest("t", topics.REQUESTS_INTERNAL)),
    ("basic", {"username": "u", "password": "t"}, None)])
async def test_operation_is_called_with_the_digest_of_a_token_and_with_no_other_credential(
        kind: str, members: dict[str, str], digest: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    digests: list[str | None] = []

    async def ask(_: Neighbours, request: RequestRecord, *__: Any) -> ReplyRecord:
        digests.append(request.token_digest)
        return ReplyRecord(request_id=request.request_id, status=200)
    monkeypatch.setattr(Neighbours, "ask", ask)
    step = {**CALL, "operation": {**CALL["operation"], "credential": "crm"}}
    made, _ = await perform([step, ANSWER], sealed=sealed(kind, **members))
    assert digests == ([] if digest is None else [digest])
    assert digest is not None or kind_of(made) == "credential-unusable"


class Policy:
    """Another project, as far as idempotency keys go. `runs`: statuses of its runs, each over when it is told to be."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.kept = list(statuses), dict[str | None, int]()
        self.asked: list[RequestRecord] = []
        self.runs, self.slow = 0, 0

    async def ask(self, request: RequestRecord, *_: Any) -> ReplyRecord:
        key, self.asked = request.idempotency_key, [*self.asked, request]
        assert 0 < len(key or "k") <= 255
        if key not in self.kept:
            self.kept[key] = self.statuses[self.runs]
            self.runs += 1
            again = {}
        elif self.slow:
            self.slow -= 1
            return error_reply(IdempotencyRunning("still running", headers={"Retry-After": "1"}), "r")
        else:
            again = {HTTP_REPLAYED: "true"}
        return ReplyRecord(request_id="r", status=self.kept[key], headers=again)


async def durably(policy: Policy, kept: Kept, monkeypatch: pytest.MonkeyPatch, *steps: Any) -> Any:
    """What comes of one walk of a durable execution."""
    monkeypatch.setattr("services.executor.journal.begin", kept.begin)
    monkeypatch.setattr("services.executor.journal.write", kept.write)
    monkeypatch.setattr(operation, "_LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(Neighbours, "ask", policy.ask)
    made, _ = await perform([*steps, {"id": "answer", "reply": {"body": 1}}], workflow={"durable": True},
                            journals=Journals(nowhere(), Tasks()))
    return made


async def test_call_that_was_under_way_when_its_executor_died_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(200)
    policy.kept["r/next"], policy.slow = 200, 3
    made = await durably(policy, Kept(), monkeypatch, CALL)
    assert (made.status, policy.runs, len({one.request_id for one in policy.asked})) == (200, 0, 4)
    assert {one.deadline_ms for one in policy.asked} == {policy.asked[0].deadline_ms}
    policy.slow = 10**9
    error = await durably(policy, Kept(), monkeypatch, {**CALL, "operation": {**CALL["operation"], "timeout": "50ms"}})
    assert isinstance(error, TimedOut)
    assert str(error) == "operation other/o gave no answer within 50 ms"


async def test_call_that_failed_is_made_anew_by_its_next_try_and_when_it_is_resumed(
        monkeypatch: pytest.MonkeyPatch) -> None:
    policy, kept = Policy(502, 503, 500, 200), Kept()
    error = await durably(policy, kept, monkeypatch, {**CALL, "retry": {"attempts": 2, "delay": "1ms"}})
    assert (error.members["upstream_status"], policy.runs) == (503, 2)
    assert (await durably(policy, kept, monkeypatch, CALL)).members["upstream_status"] == 500
    assert (await durably(policy, kept, monkeypatch, CALL)).status == 200
    # whoever dies before it is noted is told the same
    assert (await durably(policy, Kept(), monkeypatch, CALL)).status == 200
    assert list(policy.kept) == ["r/next", "r/next~2", "r/next~3", "r/next~4"]


async def test_key_of_a_call_is_no_longer_than_policy_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    step: Any = CALL
    for depth in range(5):
        step = {"id": f"s{depth}_{'x' * 60}", "loop": {"over": [1, 2], "steps": [step]}}
    policy = Policy(*[200] * 32)
    assert (await durably(policy, Kept(), monkeypatch, step)).status == 200
    assert (policy.runs, len(policy.kept)) == (32, 32)


async def test_key_of_a_call_after_one_that_failed_is_no_longer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    step: Any = CALL
    for depth in range(4):
        step = {"id": f"s{depth}{'x' * 56}", "loop": {"over": [1], "steps": [step]}}
    policy, kept = Policy(500, 200), Kept()
    assert (await durably(policy, kept, monkeypatch, step)).members["upstream_status"] == 500
    assert (await durably(policy, kept, monkeypatch, step)).status == 200
    # nothing may stand behind the first one
    assert [len(key or "") for key in policy.kept] == [254, 64]


@pytest.mark.parametrize(("content_type", "body", "read"), [
    ("application/json", b'{"a": 1}', {"a": 1}), ("application/hal+json", b"[1]", [1]), ("application/json", b"", None),
    ("text/plain", b'{"a": 1}', '{"a": 1}'), ("text/csv", b"a,\xff", "a,\ufffd"), (None, b"1", "1")])
async def test_answer_is_json_where_it_says_so_and_a_text_otherwise(
        content_type: str | None, body: bytes, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(_: Neighbours, request: RequestRecord, *__: Any) -> ReplyRecord:
        return ReplyRecord(request_id=request.request_id, status=200, body=body, content_type=content_type,
                           headers={"X-Own": "b"})
    monkeypatch.setattr(Neighbours, "ask", ask)
    _, scene = await perform([CALL, ANSWER])
    assert scene.scope["steps"]["next"] == {"status": 200, "headers": {"x-own": "b"}, "body": read}


async def test_step_does_not_wait_longer_than_it_says_for_a_place_to_listen_at(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, free = 0, asyncio.Event()

    async def start(self: ReplyReader) -> None:
        nonlocal begun
        begun += 1
        await free.wait()
    monkeypatch.setattr(ReplyReader, "start", start)
    neighbours = nobody()
    request = RequestRecord(project="other", operation="o", request_id="r")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(neighbours.ask(request, 20), 0.02)
    free.set()
    # the outbox has not started
    with pytest.raises(Unavailable):
        await neighbours.ask(request, 20)
    assert begun == 1


@pytest.mark.parametrize("why", [KafkaUnavailable("no broker"), SendFailed("no topic"), Unavailable("no lease")])
async def test_workflow_gets_over_a_call_that_finds_no_place_to_listen_at(
        why: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(_: ReplyReader) -> None:
        raise why
    monkeypatch.setattr(ReplyReader, "start", start)
    error, _ = await perform([CALL, ANSWER])
    assert (kind_of(error), status_of(error)) == ("upstream-failed", 503)
    assert "other/o could not be called" in str(error)
    made, _ = await perform([{**CALL, "fallback": 1}, ANSWER])
    assert made.body == b'{"next":1}'
