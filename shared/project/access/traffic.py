"""Header policies, CORS and bounds, as the owner writes them.

In:    mappings from `access.yaml`.
Out:   frozen models; each names the operations that it speaks of. All that match apply, in file order; of bounds, as
       `forms.py` says, the closest.
Never: who may call; that is `policies.py`.
"""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, ByteSize, Field, WithJsonSchema, model_validator

from shared.project.access.authentication import HeaderName
from shared.project.access.policies import Speaking, Text
from shared.project.access.sparse import Sparse
from shared.project.base import shaped
from shared.project.durations import Duration
from shared.project.steps.work import Method

HeaderValue = Annotated[str, shaped(r"^[\x20-\x7e]*$", "printable ASCII on one line", 2000)]
# the edge, the connection and the platform own these
_OWNED = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "trailer",
                    "date", "server", "x-request-id", "content-type", "host", "authorization"})
MediaType = Annotated[str, shaped(r"^[a-z0-9.+*-]+/[a-z0-9.+*-]+$", "a media type in small letters, without "
                                  "parameters: application/json, text/*")]
Origin = Annotated[str, shaped(r"^(\*|https?://(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?)$", "where pages come from, without a "
                               "path: https://app.example.com, https://*.example.com, or '*'"),
                   AfterValidator(str.lower)]
# levels of JSON that are looked into
DEEPEST = 500
Size = Annotated[ByteSize, Field(ge=1), WithJsonSchema({"type": ["integer", "string"], "minimum": 1,
                                                        "description": "Bytes, or a text with a unit: 8KB"})]


class Change(Sparse):
    """What happens to headers: first `remove`, then `rename` (old to new name), then `set`."""

    remove: tuple[HeaderName, ...] = ()
    rename: dict[HeaderName, HeaderName] = Field(default_factory=dict)
    set: dict[HeaderName, HeaderValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _leaves_alone_what_is_not_its_own(self) -> Self:
        for name in (*self.remove, *self.rename, *self.rename.values(), *self.set):
            if name in _OWNED:
                raise ValueError(f"{name} belongs to the connection or to the platform")
        return self


class HeaderPolicy(Speaking):
    """What headers a call has to have, and what becomes of them. `request`: as the workflow sees them."""

    require: tuple[HeaderName, ...] = ()
    forbid: tuple[HeaderName, ...] = ()
    match: dict[HeaderName, Text] = Field(default_factory=dict, description="RE2, of headers that are there")
    content_types: tuple[MediaType, ...] = ()
    request: Change = Change()
    answer: Change = Change()


class Cors(Speaking):
    """Which pages may call from a browser. `https://*.example.com` means every name below it."""

    origins: tuple[Origin, ...] = Field(min_length=1)
    methods: tuple[Method, ...] | None = Field(default=None, description="Those of the operations when it is not said")
    headers: tuple[HeaderName, ...] | None = Field(
        default=None, description="Those that a page may send; when it is not said, all that it asks for")
    expose: tuple[HeaderName, ...] = Field(
        default=("x-request-id", "location", "retry-after", "ratelimit", "ratelimit-policy", "allowance",
                 "idempotency-replayed", "preference-applied"), description="Those of answers that a page may read")
    credentials: bool = False
    max_age_ms: Duration = Field(default=600_000, alias="max_age", ge=0, le=86_400_000)

    @model_validator(mode="after")
    def _does_not_trust_everybody(self) -> Self:
        if self.credentials and "*" in self.origins:
            raise ValueError("`credentials` needs named origins: with '*' every page could act for its visitor")
        return self


class Bounds(Speaking):
    """How large a call may be: texts with a unit (8KB) or bytes. Of each the entry that names an operation most closely
    counts; among equally close ones the strictest."""

    MEASURES: ClassVar[tuple[str, ...]] = ("body", "headers", "query", "json_depth", "duplicate_keys")

    body: Size | None = None
    headers: Size | None = Field(default=None, description="All names and values that the workflow could see")
    query: Size | None = Field(default=None, description="Percent-encoded, as it stands in an address")
    json_depth: int | None = Field(default=None, ge=1, le=DEEPEST)
    duplicate_keys: bool | None = Field(default=None, description="Whether an object may name a key twice, as it may "
                                                                  "when it is not said; the last counts")
