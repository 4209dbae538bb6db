"""What every project counts as abuse.

In:    the configuration.
Out:   settings by project; whether a caller is exempt.
Never: settings of a version that does not compile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Entity, OfVersions, ProjectVersion
from shared.project.access.abuse import Abuse, Action
from shared.project.access.facts import packed
from shared.project.access.networks import Networks
from shared.project.model import Project


@dataclass(frozen=True, slots=True)
class Watched:
    """A project's settings, compiled."""

    abuse: Abuse
    networks: tuple[Networks, ...] = ()

    @classmethod
    def of(cls, version: ProjectVersion) -> "Watched":
        """A version of the config topic. Raises whatever is wrong with its document."""
        project = Project.model_validate(version.document)
        return cls(project.abuse, tuple(
            Networks(project.networks.get(name, (name,))) for name in project.abuse.exempt.networks))

    def exempts(self, client: str, address: str | None) -> bool:
        """Whether a caller is never found."""
        if client and client in self.abuse.exempt.clients:
            return True
        return bool(address) and any(networks.holds(packed(address or "")) for networks in self.networks)


class AbuseBook:
    """Settings of all projects."""

    def __init__(self, stray: Action) -> None:
        """`stray`: what happens to callers of projects that nobody has."""
        self._catalogue = Catalogue()
        self._nobodys = Watched(Abuse(action=stray))
        self._watched: dict[str, Watched] = {}

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says."""
        for entity in entities:
            # clients and tokens are many, and nobody asks for them here
            if isinstance(entity, OfVersions):
                self._catalogue.put(entity)
        self._catalogue.renew(self._watched, entities, Watched.of)

    def of(self, project: str) -> Watched:
        """A project's settings, or those of no project."""
        return self._watched.get(project, self._nobodys)
