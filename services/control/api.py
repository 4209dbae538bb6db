"""The admin API's routes as values, from which both the server and its OpenAPI document are made.

In:    declarations of the resources.
Out:   `Route`, `Call`, `Result`.
Never: a route that the document does not have.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from services.control.letter_box import LetterBox, LetterFollower
from services.control.past_requests import PastRequests
from services.control.registry import Registry
from services.control.trace_store import TraceStore
from shared.client.caller import Caller
from shared.clock import Clock
from shared.decision.book import PolicyBook
from shared.errors import InputInvalid
from shared.kafka.outbox import Outbox
from shared.names.headers import JSON
from shared.store.redis import Store
from shared.usage.queries import Queries

_MOST_DIGITS = 15
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the resources work with; built in `wire.py`."""

    registry: Registry
    traces: TraceStore
    letters: LetterBox
    letter_reader: LetterFollower
    caller: Caller
    store: Store
    outbox: Outbox
    book: PolicyBook
    replay: PastRequests
    queries: Queries
    clock: Clock
    query_timeout_ms: int
    verify_timeout_ms: int
    max_project_bytes: int
    keep_versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the admin API; `body` is an instance of the route's model; `gone`: whether nobody waits for the
    answer any more."""

    desk: Desk
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    gone: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Result:
    """What goes back: JSON, with a status; or a text of another media type."""

    body: Any
    status: int = 200
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def _number(given: Any) -> Any:
    if isinstance(given, bool):
        raise ValueError("has to be a whole number, not true or false")
    return given


# Python takes `true` for 1. Behind the bounds of a number: before them, a schema does not tell them
NotTrue = BeforeValidator(_number)
Whole = Annotated[int, NotTrue]


class Body(BaseModel):
    """What a route takes. A member that it does not know is refused: a life time under a wrong name would be none."""

    model_config = ConfigDict(extra="forbid")


Handler = Callable[[Call], Awaitable[Result]]
# a JSON Schema of what stands in an address
Form = Mapping[str, Any]
WHOLE: Form = {"type": "integer", "minimum": 0, "maximum": 10**_MOST_DIGITS - 1}
TRUTH: Form = {"type": "boolean"}


def up_to(most: int, least: int = 1) -> Form:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": least, "maximum": most}


def one_of(names: Iterable[str]) -> Form:
    """One of several words."""
    return {"type": "string", "enum": list(names)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the admin API. `path` is below `/v1`; `query`: name -> description.

    `unchanged`: what 200 says, beside `status`, where nothing had to be done; `medias`: of what comes back;
    `forms`: the JSON Schemas of what parts of path and query may be that are no texts.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    body: type[Body] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    unchanged: str = ""
    medias: tuple[str, ...] = (JSON,)
    forms: Mapping[str, Form] = field(default_factory=dict)


_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def truth(call: Call, name: str) -> bool:
    """What is said in an address, false where nothing is. Raises InputInvalid."""
    given = call.query.get(name, "false")
    if given.lower() not in _TRUTH:
        raise InputInvalid(f"{name} is true or false, not {given[:40]!r}")
    return _TRUTH[given.lower()]


def number(call: Call, name: str, default: T) -> int | T:
    """What is said in an address, the default where nothing is. Raises InputInvalid."""
    text = call.query.get(name)
    if text is None:
        return default
    found = whole(text)
    if found is None:
        raise InputInvalid(f"{name} is a whole number, not {text[:40]!r}")
    return found


def whole(text: str) -> int | None:
    """A whole number of an address; None where it is none, or has more than 15 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def limit(call: Call, usual: int, most: int) -> int:
    """How many rows of a listing are wanted. Raises InputInvalid."""
    found = number(call, "limit", usual)
    if not 1 <= found <= most:
        raise InputInvalid(f"limit is a whole number from 1 to {most}, not {found}")
    return found
