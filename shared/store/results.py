"""Results of executions in the store.

In:    a project, an execution's result.
Out:   the same. Raises StoreUnavailable.
Never: who may read it.
"""

from shared.contracts.execution_result import ExecutionResult
from shared.store.redis import Store


async def put(store: Store, project: str, result: ExecutionResult, keep_ms: int) -> None:
    """Keep how an execution stands."""
    await store.command("SET", _key(project, result.id), result.to_bytes(), "PX", keep_ms)


async def get(store: Store, project: str, execution: str) -> ExecutionResult | None:
    """How an execution stands; None for one that is not known, or no more."""
    found = await store.command("GET", _key(project, execution))
    return None if found is None else ExecutionResult.from_bytes(found)


def _key(project: str, execution: str) -> str:
    return f"weir:execution:{project}:{execution}"
