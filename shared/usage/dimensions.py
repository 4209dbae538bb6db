"""By what usage is kept apart, and the name of the field that counts it. Pure.

In:    dimensions, names of fields.
Out:   the same, the other way round.
Never: a project or a time: those name the hash.
"""

from typing import NamedTuple

import msgspec


class Dimensions(NamedTuple):
    """By what usage is kept apart."""

    operation: str
    client: str
    source: str
    status: int
    reason: str


_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Dimensions)


def field_of(dimensions: Dimensions) -> str:
    """The counter's field."""
    return _ENCODER.encode(dimensions).decode()


def read_field(name: bytes) -> Dimensions:
    """The dimensions of a counter's field."""
    return _DECODER.decode(name)
