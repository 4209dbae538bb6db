"""What every part of the project model is made of.

In:    nothing.
Out:   `Model`, the root of all its classes, and the form of names.
Never: a key that the class does not have: a typing error is a problem, not a default.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]

# issuers of tokens have names of their own: what a scope may be (RFC 6749, 3.3), but for `!` and `,`
RoleName = Annotated[str, StringConstraints(pattern=r"^[#-+\--\[\]-~]+$", max_length=200)]


class Model(BaseModel):
    """Frozen, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
