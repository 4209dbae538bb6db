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
    """The kept key, otherwise a new one, kept: whole or not at all, for a disk may be full."""
    path = state_dir / FILE
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    return kept or _made(path)


def _made(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    key, begun = secrets.token_urlsafe(32), path.with_suffix(".new")
    begun.unlink(missing_ok=True)
    with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key)
    begun.replace(path)
    return key
