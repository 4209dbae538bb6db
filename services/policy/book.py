"""What policy knows, compiled for deciding.

In:    the catalogue's newest versions and tokens.
Out:   `PolicyBook`: projects with routes, operations with input validators, tokens by stored digest.
Never: a change in place while a call is being decided: one event loop, one book, replaced project by project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Entity, ProjectVersion, Token
from shared.project.canary import CANARY
from shared.project.inputs import InputValidator
from shared.project.model import Operation, Project
from shared.project.routes import RouteTable


@dataclass(frozen=True, slots=True)
class GuardedOperation:
    """One operation and its compiled input schemas."""

    operation: Operation
    inputs: InputValidator


@dataclass(frozen=True, slots=True)
class GuardedProject:
    """One project version, compiled."""

    name: str
    version: int
    routes: RouteTable
    operations: Mapping[str, GuardedOperation]

    @classmethod
    def of(cls, version: ProjectVersion) -> "GuardedProject":
        """A version of the config topic. Raises whatever is wrong with its document."""
        return cls.compile(Project.model_validate(version.document), version.version)

    @classmethod
    def compile(cls, project: Project, version: int) -> "GuardedProject":
        """Compile routes and schemas once per version."""
        return cls(project.name, version, RouteTable.of(project), {
            operation.name: GuardedOperation(operation, InputValidator.of(operation))
            for operation in project.operations})


class PolicyBook:
    """All projects and tokens in force."""

    def __init__(self) -> None:
        """Knows the canary only, by which services prove that they work."""
        self._catalogue = Catalogue()
        self._projects: dict[str, GuardedProject] = {CANARY.name: GuardedProject.compile(CANARY, 1)}

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says; a project is compiled once, in its newest version."""
        for entity in entities:
            self._catalogue.put(entity)
        for name in {entity.project for entity in entities if isinstance(entity, ProjectVersion)}:
            compiled = self._catalogue.compile_newest(name, GuardedProject.of)
            if compiled is not None:
                self._projects[name] = compiled

    def project(self, name: str) -> GuardedProject | None:
        """The project's version in force."""
        return self._projects.get(name)

    def token(self, stored_digest: str) -> Token | None:
        """The token of a stored digest, whatever its state."""
        return self._catalogue.tokens_by_digest.get(stored_digest)
