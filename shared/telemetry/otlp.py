"""Spans as OTLP protobuf, an ExportTraceServiceRequest of opentelemetry-proto 1. Pure.

In:    ended spans.
Out:   bytes.
Never: a message object: writing the few fields that we use is three times as fast, and a sampled request has a dozen
spans. Tests read everything back with the official classes.

A field is its number and wire type (0 varint, 1 eight bytes, 2 length and bytes) in one byte, then its value.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import pack

from shared.names import spans
from shared.telemetry.span import Attributes, Resource, Span, Value

_SCOPE_NAME = "weir"
_MAX_TEXT, _OFTEN = 1_000, 32
_ERROR = b"\x18\x02"


def export_request(ended: Sequence[Span]) -> bytes:
    """All spans of one export, by resource."""
    by_resource: dict[Resource, list[bytes]] = {}
    for span in ended:
        by_resource.setdefault(span.resource, []).append(_field(b"\x12", _span(span)))
    return b"".join(_field(b"\x0a", b"".join((
        _field(b"\x0a", _resource(resource)),
        _field(b"\x12", b"".join((_field(b"\x0a", _field(b"\x0a", _SCOPE_NAME.encode())), *found))),
        _field(b"\x1a", spans.SCHEMA_URL.encode())))) for resource, found in by_resource.items())


def _resource(resource: Resource) -> bytes:
    attributes = {spans.SERVICE_NAME: resource.service, spans.SERVICE_NAMESPACE: _SCOPE_NAME}
    if resource.instance:
        attributes[spans.SERVICE_INSTANCE] = resource.instance
    return _attributes(b"\x0a", attributes)


def _span(span: Span) -> bytes:
    parts = [b"\x0a\x10", bytes.fromhex(span.context.trace_id), b"\x12\x08", bytes.fromhex(span.context.span_id)]
    if span.parent_id:
        parts += (b"\x22\x08", bytes.fromhex(span.parent_id))
    parts += (b"\x2a", _text(span.name), b"\x30", bytes((span.kind,)), b"\x39", span.start_ns.to_bytes(8, "little"),
              b"\x41", span.end_ns.to_bytes(8, "little"), _attributes(b"\x4a", span.attributes))
    if span.events or span.links:
        parts += _told(span)
    if span.error is not None:
        parts.append(_field(b"\x7a", b"".join((b"\x12", _text(span.error), _ERROR))))
    return b"".join(parts)


def _told(span: Span) -> list[bytes]:
    """Events and links."""
    return [*(_field(b"\x5a", b"".join((b"\x09", at_ns.to_bytes(8, "little"), b"\x12", _text(name),
                                        _attributes(b"\x1a", attributes))))
              for at_ns, name, attributes in span.events),
            *(_field(b"\x6a", b"".join((b"\x0a\x10", bytes.fromhex(link.trace_id), b"\x12\x08",
                                        bytes.fromhex(link.span_id)))) for link in span.links)]


def _attributes(tag: bytes, attributes: Attributes) -> bytes:
    out: list[bytes] = []
    for key, value in attributes.items():
        if type(value) is str and len(value) < _OFTEN:
            out.append(_often(tag, key, value))
        else:
            said = _any(value)
            out.append(_field(tag, b"".join((_key(key), b"\x12", _size(len(said)), said))))
    return b"".join(out)


@lru_cache(4096)
def _often(tag: bytes, key: str, value: str) -> bytes:
    """Names and enumerations come again and again; ids are longer than they are."""
    return _field(tag, _key(key) + _field(b"\x12", _any(value)))


@lru_cache(256)
def _key(key: str) -> bytes:
    return b"\x0a" + _text(key)


def _any(value: Value) -> bytes:
    if isinstance(value, str):
        return b"\x0a" + _text(value[:_MAX_TEXT])
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    return b"\x21" + pack("<d", value)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return _varint(len(data)) + data


def _field(tag: bytes, data: bytes) -> bytes:
    return b"".join((tag, _size(len(data)), data))


@lru_cache(2048)
def _size(size: int) -> bytes:
    return _varint(size)


def _varint(number: int) -> bytes:
    if number < 128:
        return _SMALL[number]
    if number < 16384:
        return bytes((number & 127 | 128, number >> 7))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = [bytes((size,)) for size in range(128)]
