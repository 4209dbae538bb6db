"""Executions that are asked for by their id alone.

In:    the path of a request.
Out:   the path inside the project whose execution it is.
Never: who may read it; policy decides that, as for every call.
"""

from shared.contracts.ids import is_request_id
from shared.errors import ExecutionNotFound, Unavailable
from shared.project.modes import EXECUTIONS, result_path
from shared.store.redis import Store, StoreUnavailable
from shared.store.results import project_of


async def placed(store: Store, path: str) -> str:
    """Any other path as it is. Raises ExecutionNotFound, Unavailable."""
    if not path.startswith(EXECUTIONS):
        return path
    execution = path.removeprefix(EXECUTIONS)
    try:
        project = await project_of(store, execution) if is_request_id(execution) else None
    except StoreUnavailable as exc:
        raise Unavailable("the store is away that keeps results; try again shortly",
                          headers={"Retry-After": "2"}) from exc
    if project is None:
        raise ExecutionNotFound("there is no such execution of yours, or its result is not kept any more")
    return result_path(project, execution)
