"""What a setting has to be that is something else.

In:    what the settings' library says of the environment, what a service says of a value that nobody can use.
Out:   `WrongSetting`; a line for each mistake, with the name of its variable.
Never: a value that is a secret.
"""

import re
from collections.abc import Iterator, Mapping
from json import dumps, loads
from typing import get_origin

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from shared.project.wording import Mistake, mistakes

# the library says of a text that is no JSON which field it is for, and not of which settings
_FIELD = re.compile(r'field "(\w+)"')
_EXAMPLES: dict[object, object] = {tuple: ["a", "b"], list: ["a", "b"], dict: {"a": 1}}


class WrongSetting(ValueError):
    """The text names the variable, and says what is wrong with it and what it has to be."""


def told(error: Exception, environment: Mapping[str, str]) -> str | None:
    """In words; None for an error that is not about settings."""
    if isinstance(error, WrongSetting):
        return str(error)
    if isinstance(error, SettingsError):
        return "\n".join(_no_json(str(error), environment)) or f"a WEIR_* setting cannot be read: {error}"
    kind = next((one for one in _kinds(BaseSettings) if isinstance(error, ValidationError)
                 and one.__name__ == error.title), None)
    if kind is None or not isinstance(error, ValidationError):
        return None
    prefix = kind.model_config.get("env_prefix", "")
    return "\n".join(_line(prefix, one) for one in mistakes(error, kind))


def _line(prefix: str, mistake: Mistake) -> str:
    if not mistake.loc:
        # several of them together: the sentence names them
        return mistake.message
    place = ".".join(map(str, mistake.loc))
    first, dot, inside = place.partition(".")
    return f"{prefix}{first.upper()}{dot}{inside}: {mistake.message.removeprefix(f'{place}: ')}"


def _no_json(said: str, environment: Mapping[str, str]) -> Iterator[str]:
    named = _FIELD.search(said)
    name = named.group(1) if named else ""
    for kind in _kinds(BaseSettings):
        field, variable = kind.model_fields.get(name), f"{kind.model_config.get('env_prefix', '')}{name.upper()}"
        example = _EXAMPLES.get(get_origin(field.annotation)) if field is not None else None
        if example is not None and not _is_json(environment.get(variable, "")):
            yield f"{variable}: has to be JSON, as in {dumps(example)}"


def _is_json(text: str) -> bool:
    try:
        loads(text or "null")
    except ValueError:
        return False
    return True


def _kinds(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)
