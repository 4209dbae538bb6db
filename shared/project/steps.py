"""Settings of each step kind, as they stand under the kind's key in a workflow file.

In:    a mapping from YAML or JSON.
Out:   one frozen class per kind, and `STEP_SETTINGS` which lists them.
Never: what a step does; `services/executor/steps` has that.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.project.durations import Duration

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Status = int


class StepSettings(BaseModel):
    """Root of all settings classes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class HttpSettings(StepSettings):
    """A call to an outside system. Output: {status, headers, body}, the body parsed when it is JSON."""

    method: Method = "GET"
    url: str = Field(min_length=1, description="Absolute URL; expressions allowed")
    query: dict[str, Any] = Field(default_factory=dict, description="Added to the URL; a null value is left out")
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = Field(default=None, description="Sent as JSON; a text is sent as it is")
    timeout_ms: Duration = Field(default=10_000, alias="timeout", ge=1, le=300_000, validate_default=False)
    expect: tuple[Status, ...] = Field(default=(), description="Statuses that are no failure; any 2xx when empty")


class TransformSettings(StepSettings):
    """A computed value. Output: the value."""

    value: Any = Field(description="Any JSON, with expressions")


class ReplySettings(StepSettings):
    """The answer of the workflow; nothing runs after it."""

    name: str = Field(default="success", description="success, invalid_input, forbidden, internal_error, or a reply "
                                                     "that the operation declares")
    status: Status | None = Field(default=None, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None


STEP_SETTINGS: dict[str, type[StepSettings]] = {
    "http": HttpSettings,
    "transform": TransformSettings,
    "reply": ReplySettings,
}
