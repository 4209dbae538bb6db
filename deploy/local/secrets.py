"""The key that ingress and policy of a local cluster share.

In:    a setting, or a file in the state folder.
Out:   the key; made once, readable by its owner alone.
Never: the key in a log or on a command line.
"""

import os
import secrets
from pathlib import Path

FILE = "cluster-key"


def cluster_key(state_dir: Path) -> str:
    """The kept key, otherwise a new one, kept."""
    path = state_dir / FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        state_dir.mkdir(parents=True, exist_ok=True)
        key = secrets.token_urlsafe(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)
        return key
