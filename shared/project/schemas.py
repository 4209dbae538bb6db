"""JSON Schema 2020-12, compiled.

In:    a schema.
Out:   a validator, or what is wrong with the schema.
Never: a schema fetched from somewhere: references stay inside the schema.
"""

from typing import Any, NoReturn

from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from shared.project.model import Schema


class BadSchema(ValueError):
    """Not a JSON Schema; `path` leads to the part that is wrong."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        """`message` says what is wrong there."""
        super().__init__(message)
        self.path = path


def compile_schema(schema: Schema) -> Any:
    """A validator. Raises BadSchema."""
    try:
        return Draft202012Validator(schema, validate_formats=True, retriever=_refuse)
    except ValidationError as exc:
        raise BadSchema(exc.message, tuple(exc.instance_path)) from exc
    except (ReferencingError, ValueError) as exc:
        raise BadSchema(str(exc)) from exc


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"a schema may refer to its own parts only, not to {uri}")
