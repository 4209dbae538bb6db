"""Secrets that a version needs and this process does not have.

In:    what the config topic says; the book that has taken it in.
Out:   a line of the log for each, where its owner would otherwise hear of it from callers that get 503.
Never: a secret.
"""

import logging
from collections.abc import Sequence

from shared.contracts.config import Entity, ProjectVersion
from shared.decision.book import PolicyBook
from shared.names import actions
from shared.project.base import SECRETS

log = logging.getLogger(__name__)


def tell_missing(book: PolicyBook, entities: Sequence[Entity]) -> None:
    """Of the projects of which another version is in force now."""
    for name in {entity.project for entity in entities if isinstance(entity, ProjectVersion)}:
        project = book.project(name)
        if project is None:
            continue
        for scheme in project.authentication.signature:
            if not book.vault.secrets.get(scheme.secret, "").strip():
                log.warning("project %s, version %d: messages signed by %s get 503, for the secret to verify them with "
                            "is not set (%s%s)", name, project.version, scheme.client, SECRETS, scheme.secret,
                            extra={"action": actions.SECRET_MISSING, "project": name})
