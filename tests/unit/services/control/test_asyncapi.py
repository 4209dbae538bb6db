"""The document of the topics fits the records on them."""

import json
from typing import Any

import jsonschema_rs
import pytest

from services.control.asyncapi import asyncapi
from shared.contracts.audit import AuditLine
from shared.contracts.reply_address import Dialect, ReplyAddress
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
    ("letter-note", "weir-dead-letters"), ("query", "weir-queries"), ("reply*", "usage-answer")])
def test_every_header_of_a_record_is_told(golden: str, message: str) -> None:
    told = DOCUMENT["components"]["messages"][message]["headers"]["properties"]
    wires = [Wire.from_doc(json.loads(path.read_text())) for path in GOLDEN.glob(f"{golden}.json")]
    assert wires
    assert {name for wire in wires for name, _ in wire.headers} <= set(told)


def test_answer_has_the_correlation_id_under_a_name_that_is_told() -> None:
    told = set(DOCUMENT["components"]["messages"]["weir-replies"]["headers"]["properties"])
    for dialect in Dialect:
        address = ReplyAddress(correlation_id=b"1", topic="replies.x", dialect=dialect)
        assert {name for name, _ in address.answer_headers()} <= told


@pytest.mark.parametrize(("asked", "answer"), [
    ("weir-requests-internal", "weir-replies"), ("weir-queries", "usage-answer")])
def test_request_tells_where_its_answer_goes_and_what_it_is(asked: str, answer: str) -> None:
    reply = DOCUMENT["operations"][f"send-{asked}"]["reply"]
    assert reply["address"] == {"location": "$message.header#/weir-reply-topic"}
    assert reply["channel"] == {"$ref": "#/channels/answers"}
    assert reply["messages"] == [{"$ref": f"#/channels/answers/messages/{answer}"}]
    # a place that stands in the request is no address of the channel
    assert DOCUMENT["channels"]["answers"]["address"] is None


def test_lines_of_the_audit_and_signals_fit_their_schemas() -> None:
    for subject in ("intranet", 3):
        line = AuditLine(time=1, who="admin", what="apply", project="shop", subject=subject)
        validator("weir-audit").validate(json.loads(line.to_value()))
    assert not validator("weir-audit").is_valid({"time": 1, "who": "admin"})
    for path in GOLDEN.glob("signal*.json"):
        validator("weir-signals").validate(json.loads(Wire.from_doc(json.loads(path.read_text())).value or b""))


def test_schemas_say_what_classes_in_other_languages_are_made_from() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    event, query = schemas["UsageEvent"]["properties"], schemas["UsageQuery"]["properties"]
    # an int of 32 bits cannot hold them
    assert [event[name].get("format") for name in ("time", "tasks", "bytes_out", "status")] == [
        "int64", "int64", "int64", None]
    assert event["timing"]["additionalProperties"]["format"] == "int64"
    assert (query["skip"].get("format"), schemas["Sums"]["properties"]["p50_us"]["type"]) == (
        None, ["integer", "null"])
    assert (event["origin"]["type"], event["origin"]["maxLength"]) == (["string", "null"], 300)
    assert "default" not in event["observed"]
    assert "default" not in query["by"]
    assert query["top"]["default"] == 1_000


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
        "weir-usage", "weir-queries", "weir-signals", "weir-config", "weir-audit", "usage-answer"}
    assert kinds["otlp-spans"] == "application/x-protobuf"
