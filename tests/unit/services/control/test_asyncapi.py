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
    assert {H.PRODUCER, H.SEQUENCE, H.FORMAT, H.REPLAY_OF} == set(headers)
    assert not validator("weir-usage").is_valid([{"kind": "request", "tasks": -1}])


@pytest.mark.parametrize(("golden", "message"), [
    ("request-edge*", "weir-requests-edge"), ("request-[ipt]*", "weir-requests-internal"), ("reply*", "weir-replies"),
    ("letter-note", "weir-dead-letters"), ("query", "weir-queries")])
def test_every_header_of_a_record_is_told(golden: str, message: str) -> None:
    told = DOCUMENT["components"]["messages"][message]["headers"]["properties"]
    wires = [Wire.from_doc(json.loads(path.read_text())) for path in GOLDEN.glob(f"{golden}.json")]
    assert wires
    assert {name for wire in wires for name, _ in wire.headers} <= set(told)


def test_headers_of_letters_and_of_what_is_sent_again_are_told() -> None:
    messages = DOCUMENT["components"]["messages"]
    own = {value for name, value in vars(H).items() if name.startswith("DEAD_")}
    assert own <= set(messages["weir-dead-letters"]["headers"]["properties"])
    assert all(H.REPLAY_OF in messages[name]["headers"]["properties"] for name in (
        "weir-requests-edge", "weir-requests-internal", "weir-executions", "weir-usage", "weir-queries"))


def test_values_that_are_no_json_are_not_told_to_be() -> None:
    kinds = {name: message.get("contentType") for name, message in DOCUMENT["components"]["messages"].items()}
    assert DOCUMENT["defaultContentType"] == "application/json"
    assert {name for name, kind in kinds.items() if kind is None} == {
        "weir-usage", "weir-queries", "weir-signals", "weir-config", "weir-audit"}
    assert kinds["otlp-spans"] == "application/x-protobuf"
