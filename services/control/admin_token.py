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
    """The configured token, otherwise the kept one, otherwise a new one, kept. Raises OSError."""
    if configured:
        return configured
    path = state_dir / FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        state_dir.mkdir(parents=True, exist_ok=True)
        token = "weiradmin_" + secrets.token_urlsafe(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
        return token
