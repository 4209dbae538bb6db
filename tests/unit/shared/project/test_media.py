"""Which bodies are JSON: the same ones to whoever limits them, checks them and runs with them."""

import orjson
import pytest

from services.executor.steps.operation import _read
from shared.contracts.execution_result import ExecutionResult
from shared.contracts.reply import ReplyRecord
from shared.names.reasons import Reason
from shared.project.access.forms import compile_form
from shared.project.access.traffic import Bounds
from shared.project.media import is_json
from tests.unit.services.executor.test_inbox import Bed
from tests.unit.shared.decision.test_decide import rule

TYPES = [
    (None, True), ("", True), ("application/json", True), ("application/JSON", True), ("Application/Json", True),
    (" application/json ; charset=UTF-8", True), ("application/vnd.api+json", True), ("application/LD+JSON", True),
    ("text/json", True), ("text/plain", False), ("application/x-ndjson", False), ("application/json-seq", False),
    ("application/jsonp", False), ("text/plain; like=application/json", False), ("multipart/form-data", False)]
CASES = pytest.mark.parametrize(("content_type", "expected"), TYPES, ids=[str(name) for name, _ in TYPES])


@CASES
def test_type_is_that_of_json_or_of_something_else(content_type: str | None, expected: bool) -> None:
    assert is_json(content_type) is expected


@CASES
def test_bounds_look_at_what_is_json(content_type: str | None, expected: bool) -> None:
    form = compile_form([], [Bounds(json_depth=1, duplicate_keys=False)], "op")
    assert form is not None
    for body in (b'{"a": [1]}', b'{"a": 1, "a": 2}'):
        assert bool(form.misfits({}, content_type, {}, body)) is expected


@CASES
def test_operation_with_a_body_takes_what_is_json(content_type: str | None, expected: bool) -> None:
    decision, _ = rule({"operation": "make", "body": b'{"a":1}', "content_type": content_type})
    assert decision.reason is (Reason.OK if expected else Reason.MEDIA_TYPE_UNSUPPORTED)


@CASES
async def test_answer_of_an_operation_is_read_as_what_it_is(content_type: str | None, expected: bool) -> None:
    answer = ReplyRecord(request_id="r", status=200, content_type=content_type, body=b"1")
    # one without a type is told to nobody as JSON
    assert (_read(answer) == 1) is (expected and content_type is not None)
    result = ExecutionResult(id="r", operation="o", client="", state="running", accepted=0).answered(
        answer, 1, 1, (), well=True)
    told = orjson.loads(orjson.dumps(result.to_doc()))
    assert (told["result"]["body"] == 1) is (expected and content_type is not None)


@CASES
async def test_workflow_sees_what_is_json_as_json(content_type: str | None, expected: bool) -> None:
    bed = Bed()
    bed.stage.handle([bed.record(1, content_type=content_type)])
    reply, = bed.replies()
    assert (orjson.loads(reply.body).get("name") == "a") is expected
