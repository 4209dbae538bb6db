"""Models of which a file names only what it sets.

In:    mappings from YAML.
Out:   `Sparse`.
Never: a key that was not set written back: a document reads as its file does.
"""

from typing import Any

from pydantic import ConfigDict, SerializerFunctionWrapHandler, model_serializer

from shared.project.base import Model


class Sparse(Model):
    """Written without the keys that are null."""

    model_config = ConfigDict(populate_by_name=False)

    @model_serializer(mode="wrap")
    def _without_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if value is not None}
