"""Journals of durable executions in the store: what each finished step gave.

In:    execution keys, step paths, values.
Out:   what was noted. Raises StoreUnavailable.
Never: what a value means.
"""

from collections.abc import Sequence

from shared.store.redis import Store

Note = tuple[str, str, bytes, int]


async def read(store: Store, key: str) -> dict[str, bytes]:
    """All notes of one execution, by step path."""
    found = await store.hashes([key])
    return {path.decode(): value for path, value in found[0].items()}


async def keep(store: Store, key: str, keep_ms: int) -> None:
    """Forget the journal after so long."""
    await store.command("PEXPIRE", key, keep_ms)


async def write(store: Store, notes: Sequence[Note]) -> None:
    """(key, path, value, milliseconds until the journal is forgotten) of many executions, in one round trip."""
    await store.run("journal", [], [part for note in notes for part in note])
