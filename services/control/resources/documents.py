"""Documents about the cluster as a whole.

In:    nothing.
Out:   the AsyncAPI description of the topics, the JSON Schema of the project format.
Never: a project's own document; `projects.py` has that.
"""

from services.control.api import Call, Result, Route
from services.control.asyncapi import asyncapi
from shared.project.schema import project_schema


async def topics_document(_: Call) -> Result:
    """AsyncAPI 3.0 of all topics."""
    return Result(asyncapi())


async def project_format(_: Call) -> Result:
    """JSON Schema of a project's files."""
    return Result(project_schema())


ROUTES = (
    Route(method="GET", path="/asyncapi.json", summary="AsyncAPI description of the topics", handler=topics_document),
    Route(method="GET", path="/project-schema.json", summary="JSON Schema of the project format",
          handler=project_format),
)
