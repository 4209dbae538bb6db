"""Stub."""
from typing import Any

from shared.project.model import Project


def openapi(project: Project, base_url: str) -> dict[str, Any]:
    """Stub."""
    return {}
