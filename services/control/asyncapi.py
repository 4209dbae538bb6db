"""The topics as an AsyncAPI 3.0 document.

In:    `names/topics.py`, the header names.
Out:   the document: one channel per topic, its record's value and headers, who sends and who receives; where answers
       go; the shape of values that others read, in words that makers of classes in other languages understand.
Never: a topic or header that the code does not have.
"""

import inspect
from typing import Any

import msgspec

from shared.contracts.audit import AuditLine
from shared.contracts.query import UsageAnswer, UsageQuery, Verification
from shared.contracts.signal import Signal
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
    H.REQUEST_ID: {"type": "string", "format": "uuid", "description": "Made by policy when it is absent; what is "
                   "published twice runs twice all the same, but for an idempotency-key"},
    H.PROJECT: _TEXT, H.OPERATION: {**_TEXT, "description": "Name of the operation, or method and path instead"},
    H.METHOD: _TEXT, H.PATH: {**_TEXT, "description": "Path below the project; a query may follow"},
    H.PARAMS: {**_TEXT, "description": "JSON object: path and query parameters by name, beside weir-operation"},
    H.DEADLINE: {**_NUMBER, "description": "Unix milliseconds: the caller waits until then; what it waits for ends"},
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
        H.CORRELATION_ID: {**_TEXT, "description": "As the request had it, under the name that it had there"},
        H.SPRING_CORRELATION_ID: _TEXT, H.PLAIN_CORRELATION_ID: _TEXT, H.REQUEST_ID: _TEXT,
        H.STATUS: {**_TEXT, "pattern": "^[1-5][0-9]{2}$"},
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
    topics.SIGNALS: (Signal, "Key: project/kind/subject; a later signal about the same one replaces the earlier one."),
    topics.AUDIT: (AuditLine, "One line for each change. Key: the project."),
}
_ANSWERS = (UsageAnswer, Verification)
# a topic of the caller's own, and what comes there, by what was asked
_ANSWERED, _USAGE_ANSWER = "answers", "usage-answer"
_REPLIES = {topics.REQUESTS_INTERNAL: "weir-replies", topics.QUERIES: _USAGE_ANSWER}
_INT32 = 2**31


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of all topics."""
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        name = _name(topic)
        channel = {"$ref": f"#/channels/{name}"}
        for action, parties in (("send", topic.writers), ("receive", topic.readers)):
            operations[f"{action}-{name}"] = {"action": action, "channel": channel,
                                              "summary": f"{action} by {', '.join(parties)}"}
    for asked, answer in _REPLIES.items():
        operations[f"send-{asked.replace('.', '-')}"]["reply"] = _reply(answer)
    schemas = _schemas()
    messages = {_name(topic): _message(topic, schemas[0]) for topic in TOPICS}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Weir topics", "version": "1", "description":
                 "Values are raw bytes, metadata stands in record headers. Whoever may write to "
                 f"{topics.REQUESTS_INTERNAL} calls any operation without HTTP. What is written in a transaction is "
                 "read at once, committed or not: a publisher that aborts it has called nevertheless. Of a header that "
                 "comes twice the first value counts; one that is null is not there. A record whose headers cannot be "
                 f"read has no answer: it becomes a dead letter, which says why ({topics.DEAD_LETTERS})."},
        "defaultContentType": "application/json",
        "channels": {**{_name(topic): _channel(topic) for topic in TOPICS}, _ANSWERED: _answers()},
        "operations": operations,
        "components": {"messages": {**messages, _USAGE_ANSWER: _usage_answer()}, "schemas": schemas[1]},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    name = _name(topic)
    return {"address": topic.name, "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}}}


def _answers() -> dict[str, Any]:
    return {"address": None, "description": "A topic of the caller's own, which is there: its name starts with "
            "`replies.`, and its cleanup.policy is not compact, for answers have no key.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _REPLIES.values()}}


def _reply(answer: str) -> dict[str, Any]:
    return {"address": {"location": f"$message.header#/{H.REPLY_TOPIC}"},
            "channel": {"$ref": f"#/channels/{_ANSWERED}"},
            "messages": [{"$ref": f"#/channels/{_ANSWERED}/messages/{answer}"}]}


def _usage_answer() -> dict[str, Any]:
    return {"name": _USAGE_ANSWER, "summary": "what a usage query finds, JSON; a problem where the status is no 200",
            "headers": {"type": "object", "properties": _HEADERS[topics.REPLIES]},
            "payload": {"oneOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in _ANSWERS]}}


def _message(topic: Topic, payloads: dict[str, Any]) -> dict[str, Any]:
    headers = {"type": "object", "properties": _HEADERS.get(topic.name, {})}
    message: dict[str, Any] = {"name": _name(topic), "summary": topic.value, "headers": headers,
                               "payload": {"description": topic.value}}
    if topic.name in _CONTENT_TYPES:
        message["contentType"] = _CONTENT_TYPES[topic.name]
    if topic.name in _PAYLOADS:
        message["payload"], message["description"] = payloads[topic.name], _PAYLOADS[topic.name][1]
    return message


def _schemas() -> tuple[dict[str, Any], dict[str, Any]]:
    """Payload schemas by topic, and what they refer to; made from the records' own classes."""
    types = [found for found, _ in _PAYLOADS.values()]
    payloads, components = msgspec.json.schema_components([*types, *_ANSWERS],
                                                          ref_template="#/components/schemas/{name}")
    return dict(zip(_PAYLOADS, payloads, strict=False)), {name: _usual(schema) for name, schema in components.items()}


def _usual(schema: Any) -> Any:
    """The same, as makers of classes take it.

    A number that may not fit into 32 bits says so, or it becomes an `int` that overflows. What may be null is of two
    types, not any of two schemas, which becomes an object of no type. They write no code for a list that is a default.
    """
    if isinstance(schema, list):
        return [_usual(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {
        key: inspect.cleandoc(value) if key == "description" else _usual(value)
        for key, value in schema.items() if key != "default" or not isinstance(value, list | tuple)}
    match found.get("anyOf"):
        case [{"type": str(kind)} as one, {"type": "null"}]:
            found = {**{key: value for key, value in found.items() if key != "anyOf"}, **one, "type": [kind, "null"]}
    if found.get("type") in ("integer", ["integer", "null"]) and min(
            found.get("maximum", _INT32), found.get("exclusiveMaximum", _INT32 + 1) - 1) >= _INT32:
        found["format"] = "int64"
    return found


def _name(topic: Topic) -> str:
    return topic.name.replace(".", "-").replace("_", "-")
