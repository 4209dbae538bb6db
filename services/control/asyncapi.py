"""The topics as an AsyncAPI 3.0 document.

In:    `names/topics.py`, the header names.
Out:   the document: one channel per topic, its record's value and headers, who sends and who receives; the shape of
       values that others read.
Never: a topic or header that the code does not have.
"""

from typing import Any

import msgspec

from shared.contracts.query import UsageAnswer, UsageQuery, Verification
from shared.contracts.usage import UsageEvent
from shared.names import headers as H
from shared.names import topics
from shared.names.topics import TOPICS, Topic

_TEXT, _NUMBER = {"type": "string"}, {"type": "string", "pattern": "^[0-9]{1,18}$"}
_REPLY_ADDRESS = {
    H.CORRELATION_ID: {"type": "string", "description": "1 to 64 opaque bytes; comes back with the answer"},
    H.REPLY_TOPIC: {**_TEXT, "description": "weir.replies, or a topic that starts with `replies.`"},
    H.REPLY_PARTITION: _NUMBER,
    H.SPRING_CORRELATION_ID: {**_TEXT, "description": "Spring's dialect: bytes"},
    H.SPRING_REPLY_TOPIC: _TEXT,
    H.SPRING_REPLY_PARTITION: {**_TEXT, "description": "Spring's dialect: 4 bytes, big-endian"},
    H.PLAIN_CORRELATION_ID: {**_TEXT, "description": "FastStream's dialect, and others'"},
    H.PLAIN_REPLY_TO: _TEXT,
}
_TRACE = {H.TRACEPARENT: {**_TEXT, "description": "W3C trace context"}, H.TRACESTATE: _TEXT,
          H.BAGGAGE: {**_TEXT, "description": "W3C baggage; one that is malformed or too long goes no further"}}
_AGAIN = {H.REPLAY_OF: {**_NUMBER, "description": "Of one that is sent again: the dead letter that it was"}}
_REQUEST = {
    H.REQUEST_ID: {"type": "string", "format": "uuid", "description": "Made by policy when it is absent"},
    H.PROJECT: _TEXT, H.OPERATION: {**_TEXT, "description": "Name of the operation, or method and path instead"},
    H.METHOD: _TEXT, H.PATH: {**_TEXT, "description": "Path below the project; a query may follow"},
    H.PARAMS: {**_TEXT, "description": "JSON object: path and query parameters by name, beside weir-operation"},
    H.DEADLINE: {**_NUMBER, "description": "Unix milliseconds"},
    H.TOKEN_DIGEST: {**_TEXT, "description": "Stands for a token on this topic alone, never the token itself; up to "
                     "three, with a space between: the first good one counts"},
    H.IDEMPOTENCY_KEY: _TEXT, H.CONTENT_TYPE: _TEXT,
    H.PREFER: {**_TEXT, "description": "RFC 7240: respond-async"}, **_REPLY_ADDRESS, **_TRACE, **_AGAIN,
}
_DEPTH = {**_NUMBER, "description": "Operations behind this one, each called by a workflow of the one before"}
_HEADERS: dict[str, dict[str, Any]] = {
    topics.REQUESTS_INTERNAL: {**_REQUEST, H.DEPTH: _DEPTH},
    topics.REQUESTS_EDGE: {H.REQUEST: {
        **_TEXT, "description": "JSON of all that the others say, which the edge writes instead of them"},
        **_REQUEST, H.HTTP: {
        **_TEXT, "description": "JSON {method, path, query, headers, client_ip, certificate}: the edge alone can know"},
        H.SEALED: {**_TEXT, "description": "Credentials that policy verifies, encrypted under the cluster key"}},
    topics.EXECUTIONS: {
        H.REQUEST_ID: _TEXT, H.EXECUTION: {
            **_TEXT, "description": "JSON: what policy found out, from who calls to where the answer goes"}, **_AGAIN},
    topics.REPLIES: {
        H.CORRELATION_ID: _TEXT, H.REQUEST_ID: _TEXT, H.STATUS: {**_TEXT, "pattern": "^[1-5][0-9]{2}$"},
        H.REPLY_HEADERS: {**_TEXT, "description": "JSON {name: value}"},
        H.TIMING: {**_TEXT, "description": "JSON {hop: microseconds}"}, H.CONTENT_TYPE: _TEXT, H.TRACEPARENT: _TEXT,
        H.SEQUENCE: {**_NUMBER, "description": "Of an answer in parts: which one, from 0"},
        H.EVENT: {**_TEXT, "description": "Of an answer in parts: the event's name"},
        H.LAST: {**_TEXT, "description": "On the last part: true"},
        H.CLIENT: {**_TEXT, "description": "Of one that failed or was slow: whose call it was"}},
    topics.USAGE: {
        H.PRODUCER: {**_TEXT, "description": "The producing process, new with each start"},
        H.SEQUENCE: {**_NUMBER, "description": "0, 1, 2... by producer: a gap is a lost envelope, a repeat is none"},
        H.FORMAT: {**_TEXT, "const": "1", "description": "Of the value; absent stands for 1"}, **_AGAIN},
    topics.QUERIES: {**_REPLY_ADDRESS, **_AGAIN},
    topics.DEAD_LETTERS: {H.DEAD_TOPIC: _TEXT, H.DEAD_PARTITION: _NUMBER, H.DEAD_OFFSET: _NUMBER,
                          H.DEAD_SERVICE: _TEXT, H.DEAD_ERROR: _TEXT, H.DEAD_TIME: _NUMBER,
                          H.DEAD_CUT: {"const": "true", "description": "No room: the record stands at its place"},
                          H.DEAD_NOTE: {"enum": ["replayed", "dropped"]}, H.DEAD_LETTER: _NUMBER,
                          H.REQUEST_ID: {**_TEXT, "description": "Of a note: under which it was replayed"}, **_AGAIN},
}
_RAW = "application/octet-stream"
# of those that are no JSON; a request, or an answer, says itself what its body is
_CONTENT_TYPES = {
    topics.REQUESTS_EDGE: _RAW, topics.REQUESTS_INTERNAL: _RAW, topics.EXECUTIONS: _RAW, topics.REPLIES: _RAW,
    topics.DEAD_LETTERS: _RAW, topics.SPANS: "application/x-protobuf"}


_PAYLOADS: dict[str, tuple[Any, str]] = {
    topics.USAGE: (tuple[UsageEvent, ...],
                   "One `request` event for each request, by the service that ended it, however it ended; a `delivery` "
                   "event says what only the edge knows of it. Events of one producer are in order on a partition. A "
                   "request that was delivered twice has two events with the same `origin`; count one of them. Fields "
                   "may be added; readers pass over what they do not know."),
    topics.QUERIES: (UsageQuery, "The answer is a record with the headers of a reply: status 200 and a UsageAnswer (of "
                     "`verify`: a Verification), or a problem."),
}
_ANSWERS = (UsageAnswer, Verification)


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of all topics."""
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        name = _name(topic)
        channel = {"$ref": f"#/channels/{name}"}
        for action, parties in (("send", topic.writers), ("receive", topic.readers)):
            operations[f"{action}-{name}"] = {"action": action, "channel": channel,
                                              "summary": f"{action} by {', '.join(parties)}"}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Weir topics", "version": "1", "description":
                 "Values are raw bytes, metadata stands in record headers. Whoever may write to "
                 f"{topics.REQUESTS_INTERNAL} calls any operation without HTTP. What is written in a transaction is "
                 "read at once, committed or not: a publisher that aborts it has called nevertheless."},
        "defaultContentType": "application/json",
        "channels": {_name(topic): _channel(topic) for topic in TOPICS},
        "operations": operations,
        "components": {"messages": {_name(topic): _message(topic) for topic in TOPICS}, "schemas": _schemas()[1]},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    name = _name(topic)
    return {"address": topic.name, "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}}}


def _message(topic: Topic) -> dict[str, Any]:
    headers = {"type": "object", "properties": _HEADERS.get(topic.name, {})}
    message: dict[str, Any] = {"name": _name(topic), "summary": topic.value, "headers": headers,
                               "payload": {"description": topic.value}}
    if topic.name in _CONTENT_TYPES:
        message["contentType"] = _CONTENT_TYPES[topic.name]
    if topic.name in _PAYLOADS:
        message["payload"], message["description"] = _schemas()[0][topic.name], _PAYLOADS[topic.name][1]
    return message


def _schemas() -> tuple[dict[str, Any], dict[str, Any]]:
    """Payload schemas by topic, and what they refer to; made from the records' own classes."""
    types = [found for found, _ in _PAYLOADS.values()]
    payloads, components = msgspec.json.schema_components([*types, *_ANSWERS],
                                                          ref_template="#/components/schemas/{name}")
    return dict(zip(_PAYLOADS, payloads, strict=False)), components


def _name(topic: Topic) -> str:
    return topic.name.replace(".", "-").replace("_", "-")
