"""Limits as their owner writes them.

In:    mappings from `access.yaml`.
Out:   `Limit`.
Never: amounts spent; those are kept by policy.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr, model_validator

from shared.project.access.sparse import Sparse
from shared.project.base import Name, shaped

PER_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000,
          "month": 2_592_000_000}
_CALENDAR = ("hour", "day", "week", "month")
Subject = Annotated[str, shaped(
    r"^(client|role|ip|token|operation|project|header:[A-Za-z0-9_-]{1,100}|claim:.{1,200})$",
    "client, role, ip, token, operation, project, header:<name> or claim:<name>")]
Subjects = Annotated[tuple[Subject, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value,
                                                          json_schema_input_type=Subject | list[Subject])]
Whole = Annotated[int, Field(ge=1, le=10**12, strict=True)]


def _costs_something(cost: int | str) -> int | str:
    if isinstance(cost, int) and not 0 <= cost <= 10**9:
        raise ValueError("a cost is a number from 0 to 10^9, or CEL that gives one")
    return cost


Cost = Annotated[StrictInt | StrictStr, AfterValidator(_costs_something)]


class Limit(Sparse):
    """How often: `limit` calls `per` window that slides, or calls at the same time.

    `burst` makes it a token bucket of that size, `smooth` spreads the calls evenly, `calendar` counts from the start of
    the hour, day, week or month in that time zone.
    """

    name: Name | None = None
    limit: Whole | None = None
    per: Literal["second", "minute", "hour", "day", "week", "month"] | None = None
    concurrent: Whole | None = Field(default=None, description="Calls at the same time")
    by: Subjects = Field(default=("client",), description="Each combination of these has its own amount")
    burst: Whole | None = Field(default=None, description="Size of a token bucket that `limit` per window refills")
    smooth: bool = Field(default=False, description="Admit evenly: one call each `per` divided by `limit`")
    calendar: str | None = Field(default=None, description="IANA time zone of a calendar period")
    cost: Cost = Field(default=1, description="What a call costs: a number, or CEL that gives an integer")
    mode: Literal["enforce", "observe"] = "enforce"

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.concurrent is not None:
            if self.limit is not None or self.per is not None or self.burst or self.smooth or self.calendar:
                raise ValueError("`concurrent` stands alone: write the limit of a window as a limit of its own")
        elif self.limit is None or self.per is None:
            raise ValueError("a limit is `limit` and `per` (100 per minute), or `concurrent`")
        if not self.by:
            raise ValueError("`by` names what has an amount of its own: client, ip, project, ...")
        if sum((self.burst is not None, self.smooth, self.calendar is not None)) > 1:
            raise ValueError("`burst`, `smooth` and `calendar` exclude each other; write two limits")
        if self.calendar is not None and self.per not in _CALENDAR:
            raise ValueError(f"a calendar period is one of {', '.join(_CALENDAR)}, not {self.per}")
        return self
