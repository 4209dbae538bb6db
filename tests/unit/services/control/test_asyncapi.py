"""The document of the topics fits the records on them."""

import json
from typing import Any

import jsonschema_rs
import pytest

from services.control.asyncapi import asyncapi
from shared.names import headers as H
from tests.contract.samples import GOLDEN, Wire

DOCUMENT = asyncapi()
USAGE = sorted(path for path in GOLDEN.glob("usage*.json"))


def validator(message: str) -> Any:
    found = DOCUMENT["components"]["messages"][message]
    return jsonschema_rs.validator_for({**found["payload"], "components": DOCUMENT["components"]})


@pytest.mark.parametrize("path", USAGE, ids=[path.stem for path in USAGE])
def test_envelopes_of_all_times_fit_the_schema_of_the_usage_topic(path: Any) -> None:
    wire = Wire.from_doc(json.loads(path.read_text()))
    validator("weir-usage").validate(json.loads(wire.value or b""))
    assert {name for name, _ in wire.headers} <= set(
        DOCUMENT["components"]["messages"]["weir-usage"]["headers"]["properties"])


def test_query_fits_its_schema_and_a_wrong_one_does_not() -> None:
    wire = Wire.from_doc(json.loads((GOLDEN / "query.json").read_text()))
    query = json.loads(wire.value or b"")
    assert validator("weir-queries").is_valid(query)
    assert not validator("weir-queries").is_valid({**query, "by": ["colour"]})
    assert not validator("weir-queries").is_valid({"project": "p"})


def test_usage_topic_tells_of_numbers_and_formats() -> None:
    headers = DOCUMENT["components"]["messages"]["weir-usage"]["headers"]["properties"]
    assert {H.PRODUCER, H.SEQUENCE, H.FORMAT} == set(headers)
    assert not validator("weir-usage").is_valid([{"kind": "request", "tasks": -1}])
