"""Executions that are to end before their end.

In:    an execution, and why.
Out:   what was said since the last look. Raises StoreUnavailable.
Never: an execution that ends by this: the executor that runs it does that.
"""

from typing import Literal

from shared.store.redis import Store

Why = Literal["operator", "client-gone"]


async def cancel(store: Store, execution: str, why: Why) -> None:
    """Say that an execution is to end; said for an hour."""
    await store.run("cancel", [], ["say", why, execution])


async def cancelled(store: Store, cursor: int) -> tuple[int, dict[str, str]]:
    """Executions that are to end, with why, said since `cursor` (0: all); and the next cursor."""
    found = await store.run("cancel", [], ["read", cursor])
    return int(found[0]), {execution: why for why, _, execution in (one.decode().partition(" ") for one in found[1:])}
