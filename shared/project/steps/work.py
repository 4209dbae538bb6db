"""Steps that do something.

In:    a mapping from YAML or JSON.
Out:   one frozen class per kind.
Never: what a step does.
"""

import re
import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from shared.project.base import Name, shaped
from shared.project.durations import Duration
from shared.project.steps.base import HeaderName, StepSettings

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Status = int
EventName = Annotated[str, shaped(r"^[A-Za-z0-9_.:-]{1,100}$", "letters, digits and any of _ . : -, 100 at the most")]
TopicName = Annotated[str, shaped(r"^[a-zA-Z0-9._-]{1,249}$", "the name of a topic, which is no expression: letters, "
                                  "digits and any of . _ -")]
Proxy = Annotated[str, shaped("^https?://", "a URL that begins with http:// or https://")]


def _expected(value: object) -> object:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch("[1-5](xx|[0-9][0-9])", text):
        raise ValueError("expected is a status like 404, or a class of them like 2xx")
    return int(text) if text.isdecimal() else text


Expected = Annotated[int | str, BeforeValidator(_expected)]


class Tls(StepSettings):
    """How the outside system proves who it is. `ca`: certificates in PEM, instead of those of the machine."""

    verify: bool = True
    ca: str | None = Field(default=None, min_length=1)
    minimum: Literal["1.2", "1.3"] = "1.2"

    def context(self) -> ssl.SSLContext:
        """Raises ValueError for what is no certificate."""
        return _context(verify=self.verify, ca=self.ca, minimum=self.minimum)

    @model_validator(mode="after")
    def _usable(self) -> "Tls":
        # those of the machine take 30 ms to read, and whoever reads a project calls nobody
        if self.ca is not None:
            self.context()
        return self


@lru_cache(maxsize=100)
def _context(*, verify: bool, ca: str | None, minimum: str) -> ssl.SSLContext:
    """The same for all steps that say the same: they share connections, and their bound."""
    try:
        context = ssl.create_default_context(cadata=ca)
    except ssl.SSLError as exc:
        raise ValueError(f"`ca` has no certificate in PEM: {exc.reason or exc}") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def is_expected(status: int, expected: Sequence[int | str]) -> bool:
    """Whether a status is no failure."""
    return status in expected or f"{status // 100}xx" in expected


class HttpSettings(StepSettings):
    """A call to an outside system. Output: {status, headers, body}, the body parsed when it is JSON."""

    method: Method = "GET"
    url: str = Field(min_length=1, description="Absolute URL; expressions allowed")
    query: dict[str, Any] = Field(default_factory=dict, description=
                                  "Added to the URL; a list gives its name several times, a null value none")
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    body: Any = Field(default=None, description="Sent as JSON; a text is sent as it is")
    form: dict[str, Any] | None = Field(default=None, description="Sent as a web form, instead of a body")
    binary: str | None = Field(default=None, description="Base64; its bytes are sent, instead of a body")
    multipart: dict[str, Any] | None = Field(default=None, description=
                                             "Sent as multipart/form-data, instead of a body: texts by name, or files "
                                             "as {filename, type, text} or {filename, type, base64}")
    credential: Name | None = Field(default=None, description="By which the call proves who sends it")
    parse: Literal["auto", "json", "text", "base64", "none"] = "auto"
    tls: Tls | None = None
    proxy: Proxy | None = Field(default=None, description="Through which the call goes")
    redirects: int = Field(default=3, ge=0, le=10, description="How many are followed")
    timeout_ms: Duration = Field(default=10_000, alias="timeout", ge=1, le=300_000, validate_default=False)
    expect: tuple[Expected, ...] = Field(default=("2xx",), min_length=1, description=
                                         "Statuses that are no failure: 404, or 2xx for all of them")

    @model_validator(mode="after")
    def _one_body(self) -> "HttpSettings":
        if sum(name in self.model_fields_set for name in ("body", "form", "multipart", "binary")) > 1:
            raise ValueError("an http step has one of `body`, `form`, `multipart` and `binary`")
        return self


class TransformSettings(StepSettings):
    """A computed value. Output: the value."""

    value: Any = Field(description="Any JSON, with expressions")


class DelaySettings(StepSettings):
    """A pause. Output: null."""

    for_ms: Duration | None = Field(default=None, alias="for", ge=1, le=30 * 86_400_000)
    until: str | None = Field(default=None, min_length=1, description=
                              "An expression that gives unix milliseconds, or a time like 2030-01-31T08:00:00Z")

    @model_validator(mode="after")
    def _one_end(self) -> "DelaySettings":
        if (self.for_ms is None) == (self.until is None):
            raise ValueError("a delay has either `for` or `until`")
        return self


class ScriptSettings(StepSettings):
    """JavaScript: the body of a function of `input`. No I/O; time and memory are bounded. Output: what it returns."""

    input: Any = Field(default=None, description="Any JSON, with expressions")
    code: str = Field(min_length=1, max_length=50_000)


class StorageSettings(StepSettings):
    """A value under a key, in a scope. Output: the value (get, set), the length of a list (append), its first item
    (shift), a number (increment), whether there was one (delete); null for what is not there.
    """

    action: Literal["get", "set", "append", "shift", "increment", "delete"] = "get"
    scope: Literal["run", "workflow", "project"] = "project"
    key: str = Field(min_length=1, max_length=500)
    value: Any = Field(default=None, description="What is set or appended; the number that is added (1)")
    ttl_ms: Duration | None = Field(default=None, alias="ttl", ge=1, description="Forgotten after so long")


class EmitSettings(StepSettings):
    """An event for the caller of an operation with `mode: events`. Output: null."""

    event: EventName = Field(default="message", description="Its name")
    data: Any = Field(description="Sent as JSON; a text as it is")

    @model_validator(mode="after")
    def _own_name(self) -> "EmitSettings":
        if self.event in ("end", "error"):
            raise ValueError(f"{self.event!r} is the name of the last event, which Weir sends")
        return self


class OperationSettings(StepSettings):
    """An operation of another project, through its own policy. Output: {status, headers, body}."""

    project: Name
    operation: Name
    params: dict[str, Any] = Field(default_factory=dict, description="Path and query parameters by name")
    body: Any = Field(default=None, description="Sent as JSON")
    credential: Name | None = Field(default=None, description="Of the kind bearer: a token of a client of that project")
    timeout_ms: Duration = Field(default=10_000, alias="timeout", ge=1, le=300_000, validate_default=False)
    expect: tuple[Expected, ...] = Field(default=("2xx",), min_length=1, description=
                                         "Statuses that are no failure: 404, or 2xx for all of them")


class PublishSettings(StepSettings):
    """A record on a Kafka topic that the executor's settings list. Output: null, once the broker has it."""

    topic: TopicName
    key: str | None = Field(default=None, description="Records of a key keep their order")
    headers: dict[str, str] = Field(default_factory=dict)
    value: Any = Field(description="Written as JSON; a text as it is")
