"""How many bytes of bodies are held at once.

In:    pieces of bodies as they come; calls that are over.
Out:   room for one more piece; Overloaded.
Never: HTTP; a word on whose body it is.

A body is read before its call has a place (`gate.py`), so that whoever sends it slowly keeps nobody out. All that is
read meanwhile is in memory, and connections are many more than there is memory for so many bodies of the largest size.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import Overloaded


class Bodies:
    """Of one ingress process."""

    def __init__(self, most: int) -> None:
        """`most`: bytes."""
        self._most, self.held = most, 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """What one call takes of it, and gives back when it is over."""
        taken = Share(self)
        try:
            yield taken
        finally:
            self.held -= taken.size

    def take(self, size: int) -> None:
        """Room for so many bytes. Raises Overloaded."""
        if self.held + size > self._most:
            raise Overloaded(f"bodies of {self.held} bytes are here already, and no more than {self._most} can be; try "
                             "again shortly (WEIR_INGRESS_MAX_BODIES_BYTES)", headers={"Retry-After": "1"})
        self.held += size


class Share:
    """Of one call."""

    __slots__ = ("_bodies", "size")

    def __init__(self, bodies: Bodies) -> None:
        """Nothing yet."""
        self._bodies, self.size = bodies, 0

    def take(self, size: int) -> None:
        """Room for one more piece. Raises Overloaded."""
        self._bodies.take(size)
        self.size += size
