"""Policies as their owner writes them.

In:    mappings from `access.yaml`.
Out:   frozen models; what stands in a rule is compiled by `rules.py`.
Never: a look at another object of the project: `check_access.py` has that.

A rule has one key, which names its kind. A text after it is short for `is`, a list for `in`.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from shared.project.access.limits import Limit
from shared.project.access.sparse import Sparse
from shared.project.base import Name, shaped

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
# a network in CIDR notation, or the name of a list of `networks`
Network = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Scalar = bool | int | float | str
Pointer = Annotated[str, shaped(r"^(/[^/]*)*$", "a JSON pointer: /amount, /items/0/sku, or nothing for the whole", 500)]
Glob = Annotated[str, shaped(r"^[a-z0-9*?\[\]!-]+$", "the name of an operation, or one with `*`: create-*", 64)]
Clock = Annotated[str, shaped(r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", 'a time of day with four digits: "08:00"')]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Comparison(Sparse):
    """What a value has to be; every test that is named must hold. A missing value passes `is_not` and `not_in` only."""

    TESTS: ClassVar[frozenset[str]] = frozenset({"is", "is_not", "in", "not_in", "matches", "starts_with", "exists",
                                                 "<", "<=", ">", ">="})

    is_: Scalar | None = Field(default=None, alias="is")
    is_not: Scalar | None = None
    in_: tuple[Scalar, ...] | None = Field(default=None, alias="in", min_length=1)
    not_in: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    matches: Text | None = Field(default=None, description="RE2; finds a match anywhere unless it is anchored")
    starts_with: Text | None = None
    exists: bool | None = None
    less: float | None = Field(default=None, alias="<", allow_inf_nan=False)
    at_most: float | None = Field(default=None, alias="<=", allow_inf_nan=False)
    more: float | None = Field(default=None, alias=">", allow_inf_nan=False)
    at_least: float | None = Field(default=None, alias=">=", allow_inf_nan=False)

    @model_validator(mode="after")
    def _compares(self) -> Self:
        tests = self.tests()
        if not tests:
            raise ValueError(f"say what to compare with: one of {', '.join(sorted(self.TESTS))}")
        low = max((bound for bound in (self.more, self.at_least) if bound is not None), default=None)
        high = min((bound for bound in (self.less, self.at_most) if bound is not None), default=None)
        if low is not None and high is not None and (low > high or (low == high and (tests & {"<", ">"}))):
            raise ValueError(f"this can never hold: nothing is above {low:g} and below {high:g}")
        if self.exists is False and len(tests) > 1:
            raise ValueError("this can never hold: a value that does not exist passes no other test")
        return self

    def tests(self) -> set[str]:
        """Names of the tests that are set, as they stand in the file."""
        return {field.alias or name for name, field in type(self).model_fields.items()
                if (field.alias or name) in self.TESTS and getattr(self, name) is not None}


class Named(Comparison):
    """A comparison with a header, a query parameter or a claim (a claim inside others by its JSON pointer)."""

    name: Text


class At(Comparison):
    """A comparison with a part of the JSON body; `at` is a JSON pointer (RFC 6901), empty for the whole."""

    at: Pointer


class Addresses(Sparse):
    """Networks in CIDR notation, IPv4 or IPv6, or names of lists under `networks`."""

    in_: tuple[Network, ...] | None = Field(default=None, alias="in", min_length=1)
    not_in: tuple[Network, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if self.in_ is None and self.not_in is None:
            raise ValueError("say which networks: `in` or `not_in`")
        return self


class Schedule(Sparse):
    """Hours of a week in a time zone. From 22:00 to 06:00 goes past midnight and belongs to the day it starts on."""

    zone: Text = Field(description="IANA name, as in Europe/Berlin")
    days: tuple[Day, ...] | None = Field(default=None, min_length=1)
    from_: Clock = Field(default="00:00", alias="from")
    to: Clock = "24:00"

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.from_ == self.to:
            raise ValueError("this can never hold: `from` and `to` are the same")
        return self


def _short(value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return {"is": value}
    return {"in": value} if isinstance(value, list) else value


def _short_networks(value: Any) -> Any:
    if isinstance(value, str):
        return {"in": [value]}
    return {"in": value} if isinstance(value, list) else value


Compared = Annotated[Comparison, BeforeValidator(_short, json_schema_input_type=Scalar | list[Scalar] | Comparison)]
AddressList = Annotated[Addresses, BeforeValidator(_short_networks,
                                                   json_schema_input_type=str | list[str] | Addresses)]


class Rule(Sparse):
    """One condition on a call."""

    authenticated: bool | None = None
    role: Compared | None = None
    client: Compared | None = None
    ip: AddressList | None = None
    header: Named | None = None
    query: Named | None = None
    body: At | None = None
    claim: Named | None = None
    method: Compared | None = None
    time: Schedule | None = None
    size: Comparison | None = Field(default=None, description="Bytes of the body")
    when: Text | None = Field(default=None, description="CEL, to be true")

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = sorted(self.model_fields_set)
        if len(kinds) != 1 or getattr(self, kinds[0]) is None:
            raise ValueError(f"a rule has exactly one of {', '.join(type(self).model_fields)}; this one has "
                             f"{', '.join(kinds) or 'none'}")
        return self

    @property
    def kind(self) -> str:
        """The key that is set."""
        return next(iter(self.model_fields_set))


class Speaking(Sparse):
    """Speaks of some operations."""

    operations: tuple[Glob, ...] = Field(default=("*",), min_length=1, description="Names of operations, or globs")

    def speaks_of(self, operation: str) -> bool:
        """Whether it applies to an operation."""
        return any(fnmatchcase(operation, glob) for glob in self.operations)

    def closeness(self, operation: str) -> int:
        """How closely it speaks of one of its operations: by its name 2, by a glob 1, as of all 0."""
        if operation in self.operations:
            return 2
        return int(any(glob != "*" and fnmatchcase(operation, glob) for glob in self.operations))


class Policy(Speaking):
    """Who may call which operations, and how often."""

    name: Name
    description: str | None = None
    action: Literal["accept", "reject"]
    mode: Literal["enforce", "observe"] = "enforce"
    rules: tuple[Rule, ...] = Field(default=(), description="All must hold")
    limits: tuple[Limit, ...] = Field(default=(), description="Of the calls that the policy accepts")
    status: int | None = Field(default=None, ge=400, le=499, description="Of the answer to a rejected call")
    message: Text | None = Field(default=None, description="Detail of the answer to a rejected call")

    @model_validator(mode="after")
    def _says_what_its_action_can_do(self) -> Self:
        if self.action == "accept" and (self.status is not None or self.message is not None):
            raise ValueError("`status` and `message` belong to a policy that rejects")
        if self.action == "reject" and self.limits:
            raise ValueError("`limits` belong to a policy that accepts")
        return self

    @property
    def enforced(self) -> bool:
        """Whether it does what it says, or reports only."""
        return self.mode == "enforce"
