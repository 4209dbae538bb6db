"""What a call is told that does not have the form which its owner asks for."""

from typing import Any

import pytest
from msgspec import structs

from shared.decision.decide import decide
from shared.names.reasons import Reason
from tests.support.calls import book, case

HEADERS = {"headers": [{"require": ["x-a", "x-b"], "content_types": ["application/json"]}]}
MISSING = [("headers", "", "header x-a is missing"), ("headers", "", "header x-b is missing")]
HAS = {"headers": {"x-a": "1", "x-b": "2"}}


@pytest.mark.parametrize(("access", "call", "content_type", "reason", "told"), [
    (HEADERS, HAS, "application/json", Reason.OK, None),
    (HEADERS, {}, "application/json", Reason.INPUT_INVALID, MISSING),
    (HEADERS, HAS, "text/csv", Reason.MEDIA_TYPE_UNSUPPORTED, None),
    (HEADERS, {}, "text/csv", Reason.MEDIA_TYPE_UNSUPPORTED, None),
    ({"bounds": [{"body": 1}]}, {}, "text/csv", Reason.BODY_TOO_LARGE, None),
    ({"bounds": [{"body": 1, "headers": 3}]}, HAS, None, Reason.BODY_TOO_LARGE, None),
    ({"bounds": [{"headers": 3}]}, HAS, None, Reason.INPUT_INVALID,
     [("headers", "", "the headers of the request: 8 bytes, and 3 are allowed")]),
    ({"bounds": [{"query": 3}]}, {"query": {"a": ["bc"]}}, None, Reason.INPUT_INVALID,
     [("query", "", "the query of the request: 4 bytes, and 3 are allowed")]),
    ({"bounds": [{"json_depth": 1}]}, {"body": b"[[]]"}, None, Reason.INPUT_INVALID,
     [("body", "", "the body is nested 2 levels deep, and 1 are allowed")])])
def test_call_without_the_form_is_told_so_by_its_status(access: dict[str, Any], call: dict[str, Any],
                                                        content_type: str | None, reason: Reason, told: Any) -> None:
    looked = case(book([], **access), **{"body": b"{}", **call})
    looked.request = structs.replace(looked.request, content_type=content_type)
    decision = decide(looked)
    assert decision.reason is reason
    if told:
        assert decision.refusal is not None
        assert str(decision.refusal) == "; ".join(message for *_, message in told)
        assert [(one["in"], one["pointer"], one["message"]) for one in decision.refusal.members["errors"]] == told


def test_caller_inside_has_no_headers() -> None:
    looked = case(book([], **HEADERS))
    looked.request = structs.replace(looked.request, http=None)
    assert decide(looked).reason is Reason.INPUT_INVALID
