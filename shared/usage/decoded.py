"""Counters that have been decoded before: whoever watches usage asks the same again, and little has changed since.

In:    fields of buckets, as the store has them.
Out:   their rows: the same objects as before, where the values are the same.
Never: an old row for a new value; more rows than the bound allows.
"""

from collections.abc import Iterator, Mapping

from shared.usage.measures import Row, row

# about a kilobyte each
_MOST = 20_000


class Decoded:
    """Of one process."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self._known: dict[str, dict[bytes, tuple[bytes, Row]]] = {}
        self._size = 0

    def rows(self, key: str, fields: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, Row]]:
        """The rows of a bucket's fields, or of some of them."""
        if self._size > _MOST:
            self._known, self._size = {}, 0
        known = self._known.setdefault(key, {})
        before = len(known)
        for name, value in fields.items():
            found = known.get(name)
            if found is None or found[0] != value:
                found = known[name] = value, row(value)
            yield name, found[1]
        self._size += len(known) - before
