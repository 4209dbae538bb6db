"""Results of executions in the store.

In:    a project, an execution's result.
Out:   the same, one by one or as a listing. Raises StoreUnavailable.
Never: who may read it.
"""

from shared.contracts.execution_result import ExecutionResult
from shared.store.redis import Store


async def put(store: Store, project: str, result: ExecutionResult, keep_ms: int) -> None:
    """Keep how an execution stands."""
    await store.run("result", [], [project, result.id, result.to_bytes(), keep_ms, result.accepted])


async def get(store: Store, project: str, execution: str) -> ExecutionResult | None:
    """How an execution stands; None for one that is not known, or no more."""
    found = await store.command("GET", _key(project, execution))
    return None if found is None else ExecutionResult.from_bytes(found)


async def project_of(store: Store, execution: str) -> str | None:
    """Whose execution it is; None for one that is not known, or no more."""
    found = await store.command("GET", f"weir:execution-of:{execution}")
    return None if found is None else str(found, "utf-8")


async def newest(store: Store, project: str, count: int) -> list[ExecutionResult]:
    """The executions of a project whose results are kept, newest first."""
    ids = await store.command("ZREVRANGE", f"weir:executions:{project}", 0, count - 1)
    if not ids:
        return []
    values = await store.command("MGET", *(_key(project, one.decode()) for one in ids))
    return [ExecutionResult.from_bytes(value) for value in values if value is not None]


def _key(project: str, execution: str) -> str:
    return f"weir:execution:{project}:{execution}"
