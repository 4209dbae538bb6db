"""Does a request fit an operation's schemas, and does a reply?

In:    an operation, once; then the parts of a request or a reply.
Out:   every misfit with its JSON pointer, and the values coerced to the types that the schemas name.
Never: the first misfit only, but for a large value; a long value echoed back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from jsonschema_rs import ValidationError
from msgspec import Struct

from shared.project.access.facts import MISSING
from shared.project.coercion import Coercion
from shared.project.model import Operation, ReplySchema, Schema
from shared.project.pointers import names_in, pointer_to
from shared.project.schema_work import SchemaWork
from shared.project.schemas import compile_schema

_MAX_ERRORS = 50
_MAX_MESSAGE = 200
# a tenth of a second where all alternatives have to be tried; some hundredths where everything misfits
_MOST_STEPS, _MOST_TOLD = 200_000, 10_000
# of patterns that refer back, where none of their texts misfits: half a second
_MOST_REFERRED = 100_000


@dataclass(frozen=True, slots=True)
class InputError:
    """`where`: body, query, path or headers; `pointer`: RFC 6901, empty for the whole."""

    where: str
    pointer: str
    message: str


class Checked(Struct):
    """Coerced values for the trigger; `errors` is empty when all fits."""

    path: dict[str, Any] = {}
    query: dict[str, Any] = {}
    errors: list[InputError] = []


class _Part:
    """One schema, compiled."""

    def __init__(self, where: str, schema: Schema) -> None:
        self._where = where
        self._validator, self._work = compile_schema(schema), SchemaWork(schema)

    def errors(self, value: Any) -> list[InputError]:
        """Every misfit."""
        if self._work.explodes and not self._work.within(value, _MOST_STEPS):
            return [InputError(self._where, "", "is too large, or nested too deep, to be held against a schema whose "
                               "alternatives lead back into it")]
        if self._work.refers_back and not self._work.within(value, _MOST_REFERRED, of_patterns=True):
            return [InputError(self._where, "", "has too much text to be held against a schema one of whose patterns "
                               "refers back to a part of it")]
        if self._validator.is_valid(value):
            return []
        if not self._work.within(value, _MOST_TOLD):
            return [self._first(value)]
        found = []
        try:
            for error in self._validator.iter_errors(value):
                found.append(InputError(self._where, pointer_to(error.instance_path), _message(error)))
                if len(found) >= _MAX_ERRORS:
                    break
        except ValueError:
            # the library hands back the part that does not fit, and cannot where that is nested too deep
            found.append(InputError(self._where, "", "does not fit the schema, and is nested too deep to say where"))
        return found

    def _first(self, value: Any) -> InputError:
        """Of a value that is too large to be told all of its misfits."""
        if not self._work.chooses:
            try:
                self._validator.validate(value)
            except ValidationError as error:
                return InputError(self._where, pointer_to(error.instance_path),
                                  f"{_message(error)}; there may be more, it is too large to tell all")
            except ValueError:
                pass
        return InputError(self._where, "", "does not fit the schema, and is too large to say where")


class _Texts:
    """The schema of a part of the URL or of headers, compiled."""

    def __init__(self, where: str, schema: Schema) -> None:
        # as OpenAPI has it: a list gives its name several times in a query; elsewhere it is one text
        self._part, self._coercion = _Part(where, schema), Coercion(schema, commas=where != "query")
        self.names = self._coercion.names

    def checked(self, texts: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], list[InputError]]:
        """The values that they mean, every misfit."""
        values = self._coercion.values(texts)
        misfits = self._part.errors(values)
        if misfits:
            # `7` may be the number, where not all texts are taken
            places = [names_in(error.pointer) for error in misfits]
            others = self._coercion.values(texts, unfit={place[0] for place in places} if all(places) else texts)
            if others != values and len(still := self._part.errors(others)) < len(misfits):
                return others, still
        return values, misfits


class _Headers:
    """The schema of headers, compiled: names are compared without their case, texts as the types that it names."""

    def __init__(self, schema: Schema) -> None:
        self._texts = _Texts("headers", schema)
        self._spelled = {name.lower(): name for name in self._texts.names}

    def errors(self, headers: Mapping[str, str]) -> list[InputError]:
        """Every misfit."""
        return self._texts.checked({self._spelled.get(name.lower(), name): [value]
                                    for name, value in headers.items()})[1]


class InputValidator:
    """The input schemas of one operation, compiled."""

    def __init__(self, operation: Operation) -> None:
        """Compile; the schemas are known to be schemas."""
        given = operation.input
        self._path = None if given.path is None else _Texts("path", given.path)
        self._query = None if given.query is None else _Texts("query", given.query)
        self._headers = None if given.headers is None else _Headers(given.headers)
        self._body = None if given.body is None else _Part("body", given.body)
        self.reads_body = self._body is not None
        self._in_path = operation.path_parameters

    def check(self, path: Mapping[str, str], query: Mapping[str, Sequence[str]], headers: Mapping[str, str],
              body: bytes, document: Any = MISSING) -> Checked:
        """Check all parts of a request. `document`: the body as JSON, where somebody has read it already."""
        checked = Checked()
        if path:
            checked.path = dict(path)
        if query:
            checked.query = {name: values[-1] if len(values) == 1 else list(values)
                             for name, values in query.items() if values}
        if self._path is not None:
            checked.path, misfits = self._path.checked({name: [value] for name, value in path.items()})
            checked.errors += misfits
        if len(path) < len(self._in_path):
            checked.errors += [error for error in self._left_out(path) if error not in checked.errors]
        if self._query is not None:
            checked.query, misfits = self._query.checked(query)
            checked.errors += misfits
        if self._headers is not None:
            checked.errors += self._headers.errors(headers)
        if self._body is not None:
            checked.errors += _body_errors(self._body, body) if document is MISSING else self._body.errors(document)
        return checked


    def _left_out(self, path: Mapping[str, str]) -> list[InputError]:
        """No URL is without them, but a call by its operation's name may be; in the words of a schema."""
        return [InputError("path", "", f'"{name}" is a required property')
                for name in sorted(self._in_path) if name not in path]


class _Reply:
    """The schemas of one declared reply, compiled."""

    def __init__(self, reply: ReplySchema) -> None:
        self._body = None if reply.body is None else _Part("body", reply.body)
        self._headers = None if reply.headers is None else _Headers(reply.headers)

    def errors(self, body: Any, headers: Mapping[str, str]) -> list[InputError]:
        """Every misfit."""
        found = [] if self._body is None else self._body.errors(body)
        return found if self._headers is None else found + self._headers.errors(headers)


class ReplyValidator:
    """The reply schemas of one operation, compiled."""

    def __init__(self, operation: Operation) -> None:
        """Compile; the schemas are known to be schemas."""
        self._operation = operation
        self._replies = {name: _Reply(reply) for name, reply in operation.replies.items()}
        self._by_status = operation.replies_by_status()

    def named(self, status: int | None) -> str:
        """The reply that is meant by a status alone: the one that has it, and without such a one `success`."""
        return "success" if status is None else self._by_status.get(status, "success")

    def status_of(self, name: str) -> int:
        """The status of a reply by its name; 200 for one without any."""
        return self._operation.reply_status(name) or 200

    def check(self, name: str, body: Any, headers: Mapping[str, str]) -> list[InputError]:
        """Every misfit of a reply, its headers as texts; what has no schema fits."""
        reply = self._replies.get(name)
        return [] if reply is None else reply.errors(body, headers)


class ValueValidator:
    """One schema of a value, compiled; without any, everything fits."""

    def __init__(self, schema: Schema | None) -> None:
        """The schema is known to be one."""
        self._part = None if schema is None else _Part("", schema)

    def misfits(self, value: Any) -> str:
        """Every misfit in one text; empty when the value fits."""
        found = [] if self._part is None else self._part.errors(value)
        return "; ".join(f"{error.pointer or '/'}: {error.message}" for error in found)[:1000]


def _body_errors(part: _Part, body: bytes) -> list[InputError]:
    if not body:
        return part.errors(None)
    try:
        return part.errors(orjson.loads(body))
    except orjson.JSONDecodeError as exc:
        return [InputError("body", "", f"the body is not JSON: {exc}")]


def _message(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "..."
