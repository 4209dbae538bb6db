"""What is spent of allowances, in the store.

In:    hashes and subjects, as `shared/decision/allowances.py` names them.
Out:   tasks by subject. Raises StoreUnavailable.
Never: an addition; that is the ledger's, in one step with all that it counts.
"""

from collections.abc import Mapping, Sequence

from shared.store.redis import Store


async def spent(store: Store, key: str) -> dict[str, int]:
    """What each subject has spent."""
    [found] = await store.hashes([key])
    return {subject.decode(): int(tasks) for subject, tasks in found.items()}


async def spent_by(store: Store, key: str, subjects: Sequence[str]) -> dict[str, int]:
    """What some subjects have spent."""
    found = await store.command("HMGET", key, *subjects)
    return {subject: int(tasks or 0) for subject, tasks in zip(subjects, found, strict=True)}


async def told(store: Store, key: str, way: str) -> dict[str, str]:
    """What has been said in some way about each subject of a hash."""
    [found] = await store.hashes([f"{key}:{way}"])
    return {subject.decode(): text.decode() for subject, text in found.items()}


async def tell(store: Store, key: str, way: str, texts: Mapping[str, str], expires_s: int) -> None:
    """Remember what has been said, by subject."""
    await store.command("HSET", f"{key}:{way}", *(part for pair in texts.items() for part in pair))
    await store.command("EXPIREAT", f"{key}:{way}", expires_s)
