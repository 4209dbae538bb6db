"""Kinds of values that settings of several services have.

In:    a text of the environment.
Out:   the value, or a sentence that says what it has to be.
Never: a default.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.project.access.networks import network_of


def _network(text: str) -> str:
    return str(network_of(text))


Network = Annotated[str, AfterValidator(_network)]
# 0 lets the system choose
Port = Annotated[int, Field(ge=0, le=65_535)]
