"""Who is told of what happens in a project, as its owner writes it.

In:    a mapping with an address and the name of a secret.
Out:   `Webhook`.
Never: the secret itself.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from shared.project.access.sparse import Sparse
from shared.project.base import SecretName

_SECURE = re.compile(r"https://[^\s/?#]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(?=[/?#]|$)")


def secure(url: str) -> str:
    """The address, where what is sent there cannot be read on the way. Raises ValueError."""
    if _SECURE.match(url):
        return url
    raise ValueError("a webhook is called over https://; over plain http only on this machine")


class Webhook(Sparse):
    """Who is told of signals, by Standard Webhooks. `secret`: the variable WEIR_SECRET_<secret> of analytics."""

    url: Annotated[str, StringConstraints(max_length=1000), AfterValidator(secure)]
    secret: SecretName
