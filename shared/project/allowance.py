"""Allowances as their owner writes them in `weir.yaml`.

In:    one mapping, or a list of them.
Out:   `Allowance`.
Never: tasks spent; analytics counts those, policy reads them.

One without `by` is an amount of the whole project; with `by` each client, each operation or each pair has its own.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from shared.project.access.limits import Whole
from shared.project.access.policies import Glob, Speaking
from shared.project.base import Name
from shared.project.periods import CalendarPeriod, zone_of
from shared.project.webhook import Webhook

Side = Literal["client", "operation"]
_SIDES: tuple[Side, ...] = ("client", "operation")
Threshold = Annotated[int, Field(ge=1, le=1000, strict=True)]
ClientName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _is_zone(name: str) -> str:
    zone_of(name)
    return name


def _rising(thresholds: tuple[int, ...]) -> tuple[int, ...]:
    if list(thresholds) != sorted(set(thresholds)):
        raise ValueError("thresholds are percentages that rise: [80, 100]")
    return thresholds


class Allowance(Speaking):
    """How many tasks may be spent in a calendar period, by the operations and clients that it names."""

    name: Name | None = Field(default=None, description="As answers and signals say it; `project` or what `by` names "
                                                        "if unset")
    description: str | None = None
    tasks: Whole
    per: CalendarPeriod = "month"
    zone: Annotated[str, AfterValidator(_is_zone)] = Field(default="UTC", description="IANA time zone of the period")
    by: Annotated[tuple[Side, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value,
                                                    json_schema_input_type=Side | list[Side])] = Field(
        default=(), description="What has an amount of its own: each client, each operation, each pair")
    clients: tuple[Glob, ...] = Field(default=("*",), min_length=1, description="Names of clients, or globs")
    tasks_of: dict[ClientName, Whole] = Field(default_factory=dict, description="Amounts of single clients")
    thresholds: Annotated[tuple[Threshold, ...], AfterValidator(_rising)] = Field(
        default=(80, 100), max_length=20, description="Percentages at which a signal is raised")
    webhook: Webhook | None = Field(default=None, description="Who is told of thresholds, beside the signal")
    at_limit: Literal["stop", "throttle", "overage"] = Field(
        default="stop", description="What becomes of calls once all is spent")
    rate: Whole | None = Field(default=None, description="Calls a minute that `throttle` lets through")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.rate is not None) != (self.at_limit == "throttle"):
            raise ValueError("`at_limit: throttle` and `rate` (calls a minute) belong together")
        if len(set(self.by)) != len(self.by):
            raise ValueError("`by` names a side once")
        if self.tasks_of and "client" not in self.by:
            raise ValueError("`tasks_of` needs `by: client`: only then has each client an amount of its own")
        return self

    @property
    def label(self) -> str:
        """Its name."""
        return self.name or "-".join(self.sides) or "project"

    @property
    def sides(self) -> tuple[Side, ...]:
        """What `by` names, the client first, in whatever order it stands there."""
        return tuple(side for side in _SIDES if side in self.by)


Allowances = Annotated[tuple[Allowance, ...], BeforeValidator(
    lambda value: [value] if isinstance(value, dict) else value,
    json_schema_input_type=Allowance | list[Allowance]), Field(max_length=20)]
