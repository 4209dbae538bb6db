"""What every part of the project model is made of.

In:    nothing.
Out:   `Model`, the root of all its classes, and the form of names and of other texts.
Never: a key that the class does not have: a typing error is a problem, not a default.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# of patterns, for whoever has written something else
MEANINGS: dict[str, str] = {}


def shaped(pattern: str, meaning: str, max_length: int | None = None) -> StringConstraints:
    """A text that a pattern matches; `meaning`: what such a text is, in words."""
    MEANINGS[pattern] = meaning
    return StringConstraints(pattern=pattern, max_length=max_length)


Name = Annotated[str, shaped(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "a name: small letters and digits, a letter first, with "
                             "single hyphens between them, as fair-use", 64)]

# issuers of tokens have names of their own: what a scope may be (RFC 6749, 3.3), but for `!` and `,`
RoleName = Annotated[str, shaped(r"^[#-+\--\[\]-~]+$", "the name of a role: letters, digits, signs of ASCII, without "
                                 "spaces, quotes, commas, backslashes and `!`", 200)]

# what variables that hold secrets begin with
SECRETS = "WEIR_SECRET_"
SecretName = Annotated[str, shaped(r"^[A-Z][A-Z0-9_]{0,60}$", "the name of a secret, not the secret: capitals, digits, "
                                   f"_, as ALERTS, which stands in the variable {SECRETS}ALERTS")]


class Model(BaseModel):
    """Frozen, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
