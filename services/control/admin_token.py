"""The token of the admin API.

In:    a setting, or a file in the state folder.
Out:   the token; made once, readable by its owner alone.
Never: the token in a log.
"""

import os
import secrets
from pathlib import Path

FILE = "admin-token"


def admin_token(configured: str | None, state_dir: Path) -> str:
    """The configured token, otherwise the kept one, otherwise a new one, kept. Raises OSError.

    Blanks around it, as the end of the line of a file, are none of it; what is blank is no token.
    """
    if configured is not None and configured.strip():
        return configured.strip()
    path = state_dir / FILE
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    return kept or _made(path)


def _made(path: Path) -> str:
    """Whole or not at all: a process that ends while it writes leaves no token that is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    token, begun = "weiradmin_" + secrets.token_urlsafe(32), path.with_suffix(".new")
    begun.unlink(missing_ok=True)
    with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    begun.replace(path)
    return token
