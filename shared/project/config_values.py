"""The config values of a project where it runs.

In:    a project, environment variables.
Out:   name -> value, what workflows read as `config.<name>`.
Never: `os.environ`; the caller hands it in.
"""

from collections.abc import Mapping
from typing import Any

from shared.project.model import Project


def resolve_config(project: Project, environment: Mapping[str, str]) -> dict[str, Any]:
    """An environment variable that is set wins over the default; it is a text, whatever the default is."""
    return {name: environment.get(value.env, value.default) if value.env else value.default
            for name, value in project.config.items()}
