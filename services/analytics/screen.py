"""What may be counted: envelopes as our own producers make them.

In:    records of the usage topic.
Out:   envelopes, or the error that goes into a dead letter.
Never: a part of an envelope: it counts as a whole or not at all; our own clock: who counts again finds the same.
"""

from collections.abc import Callable, Sequence

from shared.contracts.codec import header_map
from shared.contracts.config import Entity, ProjectVersion
from shared.contracts.usage import Envelope
from shared.errors import BadRecord
from shared.kafka.record import Record


class UnknownProject(BadRecord):
    """No configuration that has been read so far names the project."""


class Projects:
    """Names of all projects that there are."""

    def __init__(self) -> None:
        """None yet. The empty name stands for calls that meant no project at all."""
        self._names = {""}

    def take(self, entities: Sequence[Entity]) -> None:
        """Configuration, as it comes."""
        self._names.update(entity.project for entity in entities if isinstance(entity, ProjectVersion))

    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self._names)

    def __contains__(self, name: str) -> bool:
        """Whether there is such a project."""
        return name in self._names


class Screen:
    """Reads envelopes, refuses what would spoil the counters."""

    def __init__(self, knows: Callable[[str], bool], max_ahead_ms: int) -> None:
        """`max_ahead_ms`: how far a producer's clock may be ahead of the broker's."""
        self._knows, self._max_ahead_ms = knows, max_ahead_ms

    def read(self, record: Record) -> Envelope:
        """The envelope. Raises BadRecord, of kind UnknownProject where more configuration could help."""
        envelope = Envelope.from_record(record.value, header_map(record.headers))
        events = envelope.events
        unknown = {project for project in {event.project for event in events} if not self._knows(project)}
        ahead = max([event.time for event in events], default=0)
        if ahead > record.timestamp + self._max_ahead_ms:
            raise BadRecord(f"usage envelope: an event has the time {ahead}, more than {self._max_ahead_ms} ms after "
                            f"{record.timestamp}, when the broker got it (WEIR_ANALYTICS_MAX_AHEAD_MS)")
        if unknown:
            raise UnknownProject(f"usage envelope: there is no project {min(unknown)[:200]!r}")
        return envelope
