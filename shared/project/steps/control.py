"""Steps that say what runs next.

In:    a mapping from YAML or JSON.
Out:   one frozen class per kind.
Never: what a step does.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, model_validator

from shared.project.base import Name
from shared.project.steps.base import Block, Condition, HeaderName, Step, StepId, StepSettings

Status = int
Steps = tuple[Step, ...]


class BranchSettings(StepSettings):
    """One of two ways. Output: `then` or `else`, whichever was taken."""

    if_: Condition = Field(alias="if", min_length=1, description=
                           "An expression; what JSONata takes for true leads to `then`")
    then: Steps = Field(min_length=1)
    else_: Steps = Field(default=(), alias="else")

    def blocks(self) -> Iterator[Block]:
        """Both ways."""
        yield Block(("then",), self.then)
        if self.else_:
            yield Block(("else",), self.else_)


class SwitchSettings(StepSettings):
    """One of many ways, by a value. Output: the case that was taken; `default` when none fits."""

    value: str = Field(min_length=1, description="Compared, as a text, with the names of the cases")
    cases: dict[str, Steps] = Field(min_length=1)
    default: Steps | None = None

    def blocks(self) -> Iterator[Block]:
        """Every way."""
        for name, steps in self.cases.items():
            yield Block(("cases", name), steps)
        if self.default is not None:
            yield Block(("default",), self.default)


class LoopSettings(StepSettings):
    """The same steps again and again. Output: an array of what each pass collects.

    Steps inside see `loop` {index, item, key (of an object), last (what the pass before collected), outer}.
    """

    over: Any = Field(default=None, description="An array or an object: a pass for each item or member")
    while_: Condition | None = Field(default=None, alias="while", min_length=1, description=
                               "An expression that is asked before each pass")
    concurrency: int = Field(default=1, ge=1, le=500)
    max_passes: int = Field(default=10_000, ge=1, le=1_000_000, description="More end the workflow with an error")
    collect: Any = Field(default=None, description="What a pass adds to the output; without it the output of its last "
                                                   "step")
    steps: Steps = Field(min_length=1)

    def blocks(self) -> Iterator[Block]:
        """The steps of a pass."""
        yield Block(("steps",), self.steps, own=True, loop=True, apart=self.concurrency > 1)

    @model_validator(mode="after")
    def _one_source(self) -> "LoopSettings":
        if ("over" in self.model_fields_set) == (self.while_ is not None):
            raise ValueError("a loop has either `over` or `while`")
        if self.while_ is not None and self.concurrency > 1:
            raise ValueError("a `while` loop decides after each pass whether there is another: no concurrency")
        return self


class ParallelSettings(StepSettings):
    """Several lists of steps at the same time. Output: by branch, the output of its last step."""

    branches: dict[StepId, Steps] = Field(min_length=1)

    def blocks(self) -> Iterator[Block]:
        """Every branch."""
        for name, steps in self.branches.items():
            yield Block(("branches", name), steps, apart=True)


class BreakSettings(StepSettings):
    """Ends the loop around it."""


class ContinueSettings(StepSettings):
    """Ends this pass of the loop around it; it collects nothing."""


class StopSettings(StepSettings):
    """Ends the workflow without an answer of its own."""


class FailSettings(StepSettings):
    """Ends the workflow with an error, unless a step around it catches it."""

    message: str = Field(min_length=1)
    error: str = Field(default="workflow-failed", description="Its kind, for `retry.on` and for `errors.<step>.kind`")
    status: Status = Field(default=500, ge=400, le=599)


class ReplySettings(StepSettings):
    """The answer of the workflow; nothing runs after it."""

    name: str | None = Field(default=None, description="success, invalid_input, forbidden, internal_error, or a reply "
                                                       "that the operation declares; without it the one that has the "
                                                       "status, or success")
    status: Status | None = Field(default=None, ge=200, le=599)
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    body: Any = None


class CallSettings(StepSettings):
    """Another workflow of this project. Output: the body of its reply; null when it ends without one.

    It sees `trigger.body`, which is the input, and none of the caller's steps.
    """

    workflow: Name
    input: Any = None
    wait: bool = Field(default=True, description="false: it runs beside the rest, its errors fail nobody, and the "
                                                 "output is null")
