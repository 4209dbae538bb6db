"""Journals of durable executions in the store: what each finished step gave.

In:    execution keys, step paths, values.
Out:   what was noted. Raises StoreUnavailable.
Never: what a value means; a note of a walk after another one has opened the journal.
"""

from collections.abc import Sequence

from shared.store.redis import Store

# key, walk, path, value, milliseconds until the journal is forgotten
Note = tuple[str, int, str, bytes, int]


async def begin(store: Store, key: str, keep_ms: int) -> tuple[int, dict[str, bytes]]:
    """A new walk of one execution: its number, and all notes by step path. Walks before it note nothing any more."""
    found = await store.run("journal", [], ["open", key, keep_ms])
    noted = {path.decode(): value for path, value in zip(found[::2], found[1::2], strict=True)}
    return int(noted.pop("walk")), noted


async def begun(store: Store, key: str) -> bool:
    """Whether some walk has opened the journal."""
    return bool(await store.command("EXISTS", key))


async def keep(store: Store, key: str, keep_ms: int) -> None:
    """Forget the journal after so long."""
    await store.command("PEXPIRE", key, keep_ms)


async def write(store: Store, notes: Sequence[Note]) -> list[bool]:
    """Notes of many executions, in one round trip; False for one whose walk is over."""
    return [bool(one) for one in await store.run("journal", [], ["note", *(part for note in notes for part in note)])]
