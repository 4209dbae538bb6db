"""What is spent of allowances, in the store, and what has been said about it.

In:    hashes and subjects, as `shared/decision/allowances.py` names them.
Out:   tasks, texts by subject. Raises StoreUnavailable.
Never: an addition; that is the ledger's, in one step with all that it counts.
"""

from collections.abc import Sequence

from shared.store.redis import Store


async def spent(store: Store, key: str, subjects: Sequence[str] | None = None) -> dict[str, int]:
    """What some subjects have spent, or each one that has."""
    return {subject: int(tasks or 0) for subject, tasks in (await _fields(store, key, subjects)).items()}


async def told(store: Store, key: str, subjects: Sequence[str]) -> dict[str, str]:
    """What has been said about subjects; empty for nothing."""
    return {subject: (text or b"").decode() for subject, text in (
        await _fields(store, f"{key}:told", subjects)).items()}


async def tell(store: Store, key: str, subject: str, text: str, expires_s: int) -> None:
    """Remember what has been said."""
    await store.command("HSET", f"{key}:told", subject, text)
    await store.command("EXPIREAT", f"{key}:told", expires_s)


async def claim(store: Store, key: str, subject: str, claim_ms: int) -> bool:
    """Whether it is this process that says something now, and no other; until it is let go, or the time is over."""
    return await store.command("SET", f"{key}:telling:{subject}", "", "NX", "PX", claim_ms) is not None


async def let_go(store: Store, key: str, subject: str) -> None:
    """Others may say it."""
    await store.command("DEL", f"{key}:telling:{subject}")


async def _fields(store: Store, key: str, subjects: Sequence[str] | None) -> dict[str, bytes | None]:
    if subjects is None:
        [found] = await store.hashes([key])
        return {subject.decode(): value for subject, value in found.items()}
    return dict(zip(subjects, await store.command("HMGET", key, *subjects), strict=True)) if subjects else {}
