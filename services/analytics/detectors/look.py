"""What detectors see and say. Pure.

In:    usage events, what is remembered of earlier ones.
Out:   `Sighting`, `Look`, `Finding`, and the form of a detector.
Never: an opinion.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from shared.contracts.usage import UsageEvent
from shared.names.reasons import Reason
from shared.project.access.abuse import Abuse, Detecting
from shared.project.access.facts import unmapped

# events are put together by so much time; a slice of a window is one or more of it
TICK_MS = 5_000
_SLICES = 12
_NETWORK_BITS = 64


LooksAt = Literal["events", "callers", "places"]


class Sighting(NamedTuple):
    """Somebody did what a detector counts. `mark`: what of it is counted once, however often it comes."""

    kind: str
    subject: str
    mark: str | None = None


class Span(NamedTuple):
    """How far back a detector looks, in slices. `busiest`: a slice keeps its busiest minute, not its sum."""

    slice_ms: int
    slices: int
    busiest: bool = False


class Look(Struct, frozen=True, kw_only=True):
    """What all processes together have seen of one subject, by slice, the newest last.

    `calls` are all of the subject's since it was first noticed; of a span that keeps busiest minutes, those of this
    minute. `marks` counts different ones, `shown` are some.
    """

    hits: tuple[int, ...]
    calls: tuple[int, ...] = ()
    marks: int = 0
    shown: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()


class Finding(Struct, frozen=True, kw_only=True):
    """`reason` is for the caller to read, `evidence` for who looks after the API."""

    reason: str
    evidence: Mapping[str, int | float | list[str]]


class Detector(Protocol):
    """One kind of abuse.

    `version` changes when the same traffic may be judged otherwise. `weighs_calls`: it has to know of all calls of
    whom it has noticed.
    """

    name: str
    version: int
    weighs_calls: bool

    @property
    def looks_at(self) -> LooksAt:
        """Events of certain reasons, or each caller, or each place that a token comes from, once in a while."""

    @property
    def reasons(self) -> frozenset[Reason]:
        """Of the events that it looks at."""

    def settings(self, abuse: Abuse) -> Detecting:
        """Its own part of a project's settings."""

    def sees(self, event: UsageEvent) -> Sighting | None:
        """What of it an event shows."""

    def span(self, abuse: Abuse) -> Span:
        """How far back it looks."""

    def judge(self, look: Look, abuse: Abuse) -> Finding | None:
        """Whether that is abuse."""


def window(within_ms: int) -> Span:
    """A window that slides by a twelfth of itself, or by a tick where that is longer."""
    slice_ms = -(-within_ms // (_SLICES * TICK_MS)) * TICK_MS
    return Span(slice_ms, -(-within_ms // slice_ms) + 1)


def caller(event: UsageEvent, mark: str | None = None) -> Sighting | None:
    """The client, or the address of a caller that is none."""
    if event.client:
        return Sighting("client", event.client, mark)
    return by_address(event, mark)


def by_address(event: UsageEvent, mark: str | None = None) -> Sighting | None:
    """The address, where it is known."""
    return Sighting("ip", neighbourhood(event.address), mark) if event.address else None


@lru_cache(maxsize=50_000)
def neighbourhood(address: str) -> str:
    """An IPv4 address itself, of an IPv6 one its network of 64 bits: whoever has one address there has them all."""
    try:
        found = unmapped(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.IPv6Network((int(found) >> _NETWORK_BITS << _NETWORK_BITS, _NETWORK_BITS)))
