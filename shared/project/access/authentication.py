"""How callers prove who they are, as the owner writes it.

In:    mappings from `access.yaml`.
Out:   frozen models.
Never: a secret: a signature names the variable that holds it.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from shared.names import headers as H
from shared.project.access.sparse import Sparse
from shared.project.base import Name, SecretName, shaped
from shared.project.durations import Duration

Kind = Literal["token", "api_key", "jwt", "signature", "certificate"]
Algorithm = Literal["RS256", "ES256", "EdDSA", "Ed25519"]
HeaderName = Annotated[str, shaped(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$", "the name of a header, as x-tenant"),
                       AfterValidator(lambda name: name.lower())]
Claim = Annotated[str, StringConstraints(min_length=1, max_length=300)]
_TAKEN = H.UNSEEN_HEADERS - H.SECRET_HEADERS
_LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/")


def _trustworthy(url: str) -> str:
    if url.startswith(("https://", "file:///")) or _LOCAL.match(url):
        return url
    raise ValueError("keys come from https://... or file:///...; over plain http only from this machine")


class ApiKey(Sparse):
    """A token that does not come as a bearer token: in a header of its own, or in the query."""

    header: HeaderName | None = None
    query: str | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.header is None and self.query is None:
            raise ValueError("say where the key stands: `header` or `query`")
        if self.header in _TAKEN:
            # it is read for what else it says, and a key would stand in records with it
            raise ValueError(f"the header {self.header} says something else of a request; name one of your own, as "
                             "x-api-key")
        return self

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        places = (("the header", self.header), ("the query parameter", self.query))
        return " or ".join(f"{kind} {name}" for kind, name in places if name is not None)


class Jwt(Sparse):
    """JSON Web Tokens of one issuer (RFC 7519). `client`, `roles`: the claims that say them, or their JSON pointers."""

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    audience: Annotated[tuple[str, ...], Field(min_length=1),
                        BeforeValidator(lambda value: [value] if isinstance(value, str) else value,
                                        json_schema_input_type=str | list[str])]
    jwks: Annotated[str, AfterValidator(_trustworthy)]
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256", "EdDSA", "Ed25519"), min_length=1)
    clock_skew_ms: Duration = Field(default=60_000, alias="clock_skew", ge=0, le=600_000)
    client: Claim = "sub"
    roles: Claim | None = Field(default=None, description="Without it the roles are those of the client of that name")


class Signature(Sparse):
    """Messages signed by the Standard Webhooks specification. `secret`: the variable WEIR_SECRET_<secret> of policy."""

    client: Name
    secret: SecretName
    tolerance_ms: Duration = Field(default=300_000, alias="tolerance", ge=1000, le=3_600_000)


class Authentication(Sparse):
    """Kinds of proof that are taken; any is enough. `certificate`: subject, as a trusted proxy tells it, to client."""

    token: bool = Field(default=True, description="Bearer tokens that `weir token create` makes")
    api_key: ApiKey | None = None
    jwt: tuple[Jwt, ...] = ()
    signature: tuple[Signature, ...] = ()
    certificate: dict[str, Name] = Field(default_factory=dict)

    def kinds(self) -> frozenset[Kind]:
        """Those that are set up."""
        found: dict[Kind, object] = {"token": self.token, "api_key": self.api_key, "jwt": self.jwt,
                                     "signature": self.signature, "certificate": self.certificate}
        return frozenset(kind for kind, setting in found.items() if setting)
