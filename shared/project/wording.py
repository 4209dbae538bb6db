"""What is malformed, in words for whoever has written it.

In:    what pydantic says of a mapping from a file, and the model that it was to be.
Out:   for each mistake where it stands, a code, and a sentence: what is wrong, and what to write instead.
Never: a value: it may be a secret that stands in the wrong place. Lines and columns.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import groupby
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from shared.project.base import MEANINGS
from shared.project.durations import Milliseconds, shown
from shared.project.steps.base import Step

Loc = tuple[str | int, ...]
_KINDS = {"tuple_type": "a list", "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping",
          "model_attributes_type": "a mapping", "string_type": "a text", "float_type": "a number",
          "float_parsing": "a number", "int_type": "a whole number", "int_parsing": "a whole number",
          "int_from_float": "a whole number", "bool_type": "true or false", "bool_parsing": "true or false"}
# what pydantic puts behind the place of what may be of several kinds
_BRANCHES = frozenset({"bool", "int", "float", "str", "dict[str,any]"})
_BOUNDS = {"less_than_equal": ("le", "at the most"), "greater_than_equal": ("ge", "at the least")}
_SIZES = frozenset({"byte_size", "byte_size_unit"})
# tests with one value, and their like with several
_SEVERAL = {"is": "in", "is_not": "not_in"}


class Mistake(NamedTuple):
    """`loc`: where, as pydantic says it."""

    loc: Loc
    code: str
    message: str


def mistakes(found: ValidationError, kind: type[BaseModel]) -> Iterator[Mistake]:
    """One of each part: what might be of several kinds and is of none has an error for each of them."""
    errors = found.errors(include_url=False)
    for (loc, of_kinds), same in groupby(errors, _whole):
        together = list(same)
        if of_kinds and len(together) > 1:
            yield Mistake(loc, "shape", _at(loc, _one_of(loc, together)))
            continue
        for error in together:
            if not _is_told_inside(error, errors):
                yield _mistake(error, kind)


def _whole(error: Any) -> tuple[Loc, bool]:
    """What an error is about, without the kind that it is not, and whether that is what it says."""
    loc, of_kinds = error["loc"], error["type"] in _KINDS
    return loc[:-1] if of_kinds and loc and loc[-1] in _BRANCHES else loc, of_kinds


def _is_told_inside(error: Any, errors: Sequence[Any]) -> bool:
    """An item that is wrong is not counted; what is wrong with it is told already."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(
        other["loc"][:len(loc)] == loc and other is not error for other in errors)


def _mistake(error: Any, kind: type[BaseModel]) -> Mistake:
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        return Mistake(loc, "unknown-key", _unknown(loc, kind))
    if error["type"] == "missing":
        return Mistake(loc, "shape", _at(loc[:-1], f"`{loc[-1]}` is missing"))
    return Mistake(loc, "shape", _at(loc, _said(error, kind)))


def _at(loc: Loc, text: str) -> str:
    return f"{'.'.join(map(str, loc))}: {text}" if loc else text


def _unknown(loc: Loc, kind: type[BaseModel]) -> str:
    known, name = _keys(_model_at(kind, loc[:-1])), str(loc[-1])
    if not known and loc[0] == "steps":
        return _at(loc[:-1], _unknown_in_step(name))
    if not known:
        return f"unknown key {name!r} in {kind.__name__.lower()}"
    close = get_close_matches(name, known, 1)
    meant = f", perhaps {close[0]!r} is meant" if close else ""
    return _at(loc[:-1], f"unknown key {name!r}{meant}; here may stand {', '.join(known)}")


def _unknown_in_step(name: str) -> str:
    """The place does not tell of which kind the step is, nor whether the key stands beside that or in its settings."""
    own = [field.alias or key for key, field in Step.model_fields.items() if key not in ("kind", "settings")]
    if name in own:
        return f"{name!r} is no setting of a step's kind: it stands beside that, as `id` does"
    return (f"unknown key {name!r} in a step, or in the settings of its kind; beside the kind may stand "
            f"{', '.join(own)}, and `weir schema` prints the settings of each")


def _said(error: Any, kind: type[BaseModel]) -> str:
    what, context, given = error["type"], error.get("ctx", {}), error["input"]
    if what in _KINDS:
        keys = _keys(_model_at(kind, error["loc"]))
        return (f"has to be {_KINDS[what]}{' with ' + ', '.join(keys) if keys else ''}"
                f"{_instead(_KINDS[what], given)}")
    if what == "string_pattern_mismatch":
        return f"has to be {MEANINGS.get(pattern := context['pattern'], f'what {pattern} matches')}"
    if what in ("too_short", "string_too_short"):
        return "may not be empty" if context["min_length"] == 1 else f"has to have {context['min_length']} at least"
    if what in ("too_long", "string_too_long"):
        parts = "items" if what == "too_long" else "characters"
        return f"has too many {parts}; there may be {context['max_length']}"
    if what in _BOUNDS and isinstance(given, Milliseconds):
        name, words = _BOUNDS[what]
        return f"has to be {shown(context[name])} {words}"
    if what in _SIZES:
        return "a size is a number of bytes, or has a unit: 500, 8KB, 1MB"
    return str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "has to be", 1)


def _instead(wanted: str, given: Any) -> str:
    if wanted == "a list":
        if isinstance(given, dict):
            return ", and is a mapping; each item of a list begins with `- `, or stands in [ ]"
        return "" if given is None else "; in [ ] it is one"
    if wanted == "a text" and isinstance(given, bool | int | float):
        return "; in quotes it is one"
    if wanted.endswith("number") and isinstance(given, str) and given.isdecimal():
        return "; without quotes it is one"
    return ""


def _one_of(loc: Loc, errors: Sequence[Any]) -> str:
    kinds = dict.fromkeys(_KINDS[error["type"]] for error in reversed(errors))
    if "a number" in kinds:
        kinds.pop("a whole number", None)
    several = _SEVERAL.get(str(loc[-1])) if isinstance(errors[0]["input"], list) else None
    return f"has to be {' or '.join(kinds)}" + (f"; `{several}` takes a list" if several else "")


def _keys(model: type[BaseModel] | None) -> list[str]:
    """What may stand in a file of a model; nothing of a step, whose kind is a key of its own."""
    if model is None or issubclass(model, Step):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(kind: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model that a part of another one is; None where there is none, or one of several."""
    here: Any = kind
    for key in loc:
        here = _part(here, key)
    models = [one for one in _choices(here) if isinstance(one, type) and issubclass(one, BaseModel)]
    return models[0] if len(models) == 1 else None


def _part(annotation: Any, key: str | int) -> Any:
    for one in _choices(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return next((field.annotation for name, field in one.model_fields.items() if key in (name, field.alias)),
                        None)
        if get_origin(one) in (tuple, list) and isinstance(key, int):
            return get_args(one)[0]
        if get_origin(one) is dict:
            return get_args(one)[1]
    return None


def _choices(annotation: Any) -> list[Any]:
    """What a value may be, without what else is said of it."""
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [choice for one in get_args(annotation) for choice in _choices(one)]
    return [annotation]
