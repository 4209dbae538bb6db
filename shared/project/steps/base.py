"""What all steps have in common: an id, a condition, and what happens when they fail.

In:    a mapping from YAML or JSON: the common keys, and one key that names the kind.
Out:   `Step`.
Never: a kind of step.
"""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.names.headers import TCHAR
from shared.names.reasons import Reason
from shared.project.base import Model, shaped
from shared.project.durations import Duration

# it is read in expressions, where a dash would be a minus
StepId = Annotated[str, shaped(r"^[a-z][a-z0-9_]*$", "small letters, digits and _, a letter first, as in get_employee",
                               64)]
HeaderName = Annotated[str, shaped(f"^{TCHAR}{{1,200}}$", "the name of a header: letters, digits and "
                                   "dashes without spaces and colons, as in x-caller")]
Path = tuple[str | int, ...]
OnError = Literal["fail", "continue", "catch"]
# what may pass when it is tried again
_PASSING = (Reason.UPSTREAM_FAILED, Reason.TIMEOUT)


class StepSettings(BaseModel):
    """Root of all settings classes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def blocks(self) -> "Iterator[Block]":
        """The lists of steps inside this one."""
        yield from ()


def _error_name(value: object) -> object:
    """A status is a number in YAML, and a name among others here."""
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return str(value)
    return value


ErrorName = Annotated[str, BeforeValidator(_error_name), WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 100, "maximum": 599}]})]


def _condition(value: object) -> object:
    """What YAML reads as something else than a text was meant as the expression that it is."""
    if isinstance(value, bool | int | float):
        raise ValueError(f"an expression is a text, in quotes: \"{str(value).lower()}\"")
    return value


Condition = Annotated[str, BeforeValidator(_condition)]


def _retry(value: object) -> object:
    if isinstance(value, bool | int | float | str):
        raise ValueError("how a step is tried again is a mapping; write `retry: { attempts: 3 }`")
    return value


class Retry(Model):
    """Tries in all, and the pause before the next: `delay`, then `factor` times as long, less a random part of it.

    An outside system that says `Retry-After` is left alone for that long.
    """

    attempts: int = Field(default=3, ge=2, le=20)
    delay_ms: Duration = Field(default=200, alias="delay", ge=1, le=60_000)
    factor: float = Field(default=2.0, ge=1, le=10)
    max_delay_ms: Duration = Field(default=10_000, alias="max_delay", ge=1, le=300_000)
    jitter: float = Field(default=0.5, ge=0, le=1, description="The part of each pause that is left to chance")
    on: tuple[ErrorName, ...] = Field(default=_PASSING, min_length=1, description=
                                      "Errors that are tried again: kinds, statuses like 503, classes of them like 5xx")


class Step(Model):
    """One configured action. In a file: `id`, what happens around it, and one key that names the kind."""

    id: StepId
    kind: str
    if_: Condition | None = Field(default=None, alias="if")
    timeout_ms: Duration | None = Field(default=None, alias="timeout", ge=1, le=300_000)
    retry: Annotated[Retry | None, BeforeValidator(_retry)] = None
    on_error: OnError | None = None
    fallback: Any = None
    catch: "tuple[Step, ...]" = ()
    mask: bool = Field(default=False, description="What it gives is written down sealed alone; errors say no detail")
    settings: SerializeAsAny[StepSettings]

    @property
    def handles(self) -> OnError:
        """What a failure leads to; `catch` and `fallback` say it by being there."""
        if self.on_error is not None:
            return self.on_error
        return "catch" if self.catch else "continue" if "fallback" in self.model_fields_set else "fail"

    def blocks(self) -> "Iterator[Block]":
        """All lists of steps inside this one."""
        for block in self.settings.blocks():
            yield block.under(self.kind)
        if self.catch:
            yield Block(("catch",), self.catch)

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        # a step may hold steps: the kinds know this class
        from shared.project.steps.registry import STEP_SETTINGS
        kinds = [key for key in raw if key in STEP_SETTINGS]
        if len(kinds) != 1:
            raise ValueError(f"a step has exactly one of {', '.join(STEP_SETTINGS)}; this one has "
                             f"{', '.join(kinds) or 'none'}{'' if kinds else _meant(raw, cls, STEP_SETTINGS)}")
        for name in ("kind", "settings"):
            if name in raw:
                raise ValueError(f"unknown key {name!r} in step: its kind is a key itself, with its settings")
        rest = {key: value for key, value in raw.items() if key != kinds[0]}
        settings = {} if raw[kinds[0]] is None else raw[kinds[0]]
        if not isinstance(settings, dict | StepSettings):
            raise _no_settings(kinds[0], STEP_SETTINGS[kinds[0]], settings)
        return {**rest, "kind": kinds[0], "settings": STEP_SETTINGS[kinds[0]].model_validate(settings)}

    @model_validator(mode="after")
    def _handles_one_way(self) -> "Step":
        if self.handles == "catch" and not self.catch:
            raise ValueError("on_error: catch needs the steps under `catch`")
        if self.catch and self.handles != "catch":
            raise ValueError(f"`catch` has steps, and on_error: {self.on_error} never runs them")
        if "fallback" in self.model_fields_set and self.handles == "fail":
            raise ValueError("on_error: fail never uses `fallback`")
        return self

    @model_serializer
    def _to_file(self) -> dict[str, Any]:
        common: dict[str, Any] = {name: value for name, value in (
            ("if", self.if_), ("timeout", self.timeout_ms and f"{self.timeout_ms}ms"), ("on_error", self.on_error))
            if value is not None}
        if self.retry is not None:
            common["retry"] = self.retry.model_dump(mode="json", by_alias=True)
        if "fallback" in self.model_fields_set:
            common["fallback"] = self.fallback
        if self.mask:
            common["mask"] = True
        if self.catch:
            common["catch"] = [step.model_dump(mode="json") for step in self.catch]
        # what was not said is not said again: some settings exclude each other
        settings = self.settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {"id": self.id, **common, self.kind: settings}


def _meant(raw: dict[str, Any], step: type[Step], kinds: Iterable[str]) -> str:
    """Keys of a step without a kind: nearly one, or one of a connector that others have."""
    common = {field.alias or name for name, field in step.model_fields.items()}
    close = [(key, get_close_matches(str(key), kinds, 1)) for key in raw if key not in common]
    return "".join(f"; {key!r} is none, " + (
        f"perhaps {found[0]!r} is meant" if found else
        "unless its connector's package is installed here: for the command, and for all services before they start")
        for key, found in close)


def _no_settings(kind: str, model: type[StepSettings], given: object) -> ValidationError:
    """What is wrong with settings that are no mapping: at the key of the kind, with the one that was meant."""
    keys = [field.alias or name for name, field in model.model_fields.items()]
    needed = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    wanted = ", ".join(f"{key}: ..." for key in needed or keys[:1])
    told = f"`{kind}` has to be a mapping with {', '.join(keys)}" if keys else (
        f"`{kind}` takes no settings: behind it stands nothing, or a mapping without members")
    example = f"; write `{kind}: {{ {wanted} }}`" if keys else ""
    return ValidationError.from_exception_data("step", [InitErrorDetails(
        type=PydanticCustomError("value_error", "{told}", {"told": told + example}), loc=(kind,), input=given)])


class Block:
    """A list of steps inside a step: where it stands, and what is special inside.

    `own`: its steps' outputs are its own, nobody outside reads them. `loop`: `break` and `continue` belong to it.
    `apart`: it runs beside others, so nothing in it may end the workflow.
    """

    def __init__(self, path: tuple[str, ...], steps: tuple[Step, ...], *, own: bool = False, loop: bool = False,
                 apart: bool = False) -> None:
        """`path`: keys from the step's settings."""
        self.path, self.steps, self.own, self.loop, self.apart = path, steps, own, loop, apart

    def under(self, key: str) -> "Block":
        """The same, seen from one level up."""
        return Block((key, *self.path), self.steps, own=self.own, loop=self.loop, apart=self.apart)


def steps_in(steps: Sequence[Step], path: Path = ("steps",)) -> Iterator[tuple[Path, Step]]:
    """All steps of a list, those inside others too, with their places."""
    for index, step in enumerate(steps):
        here = (*path, index)
        yield here, step
        for block in step.blocks():
            yield from steps_in(block.steps, (*here, *block.path))
