"""What a setting has to be that is something else.

In:    what the settings' library says of the environment.
Out:   a line for each, with the name of its variable.
Never: a value that is a secret.
"""

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from shared.project.wording import Mistake, mistakes


def told(error: Exception) -> str | None:
    """In words; None for an error that is not about settings."""
    if isinstance(error, SettingsError):
        return f"a WEIR_* setting cannot be read: {error}"
    kind = next((one for one in _kinds(BaseSettings) if isinstance(error, ValidationError)
                 and one.__name__ == error.title), None)
    if kind is None or not isinstance(error, ValidationError):
        return None
    prefix = kind.model_config.get("env_prefix", "")
    return "\n".join(_line(prefix, one) for one in mistakes(error, kind))


def _line(prefix: str, mistake: Mistake) -> str:
    place = ".".join(map(str, mistake.loc))
    return f"{prefix}{place.upper() or '*'}: {mistake.message.removeprefix(f'{place}: ')}"


def _kinds(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)
