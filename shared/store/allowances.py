"""What is spent of allowances, in the store.

In:    hashes and subjects, as `shared/decision/allowances.py` names them.
Out:   tasks by subject. Raises StoreUnavailable.
Never: an addition; that is the ledger's, in one step with all that it counts.
"""

from collections.abc import Sequence

from shared.store.redis import Store


async def spent(store: Store, key: str) -> dict[str, int]:
    """What each subject has spent."""
    [found] = await store.hashes([key])
    return {subject.decode(): int(tasks) for subject, tasks in found.items()}


async def spent_by(store: Store, key: str, subjects: Sequence[str]) -> dict[str, int]:
    """What some subjects have spent."""
    found = await store.command("HMGET", key, *subjects)
    return {subject: int(tasks or 0) for subject, tasks in zip(subjects, found, strict=True)}


async def told(store: Store, key: str) -> dict[str, str]:
    """What has been said about each subject of a hash."""
    [found] = await store.hashes([_told(key)])
    return {subject.decode(): text.decode() for subject, text in found.items()}


async def tell(store: Store, key: str, subject: str, text: str, expires_s: int) -> None:
    """Remember what has been said."""
    await store.command("HSET", _told(key), subject, text)
    await store.command("EXPIREAT", _told(key), expires_s)


def _told(key: str) -> str:
    return f"{key}:told"
