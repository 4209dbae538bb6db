"""The plans of all project versions that an execution may name.

In:    what the config topic says.
Out:   `plan`, compiled when it is first asked for and kept.
Never: a newer version than the one that policy has decided with.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from services.executor.plan import Plan, compile_plans
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Credential, Entity, Halt, OfVersions, ProjectVersion
from shared.errors import Unavailable
from shared.project.canary import CANARY
from shared.project.config_values import resolve_config
from shared.project.model import Project

# compiled: so many of the newest versions, and so many older ones, for executions that have waited meanwhile
_NEWEST, _OLDER = 4, 4
_LOOK_AGAIN_S = 0.02


class Shelf:
    """Plans by project and version; the newest few versions of a project stay compiled, and a few older ones."""

    def __init__(self, environment: Mapping[str, str], version_wait_ms: int,
                 credential: Callable[[Credential], None], halt: Callable[[Halt], None]) -> None:
        """`environment` gives the config values that projects read from it; `credential`, `halt` take what comes."""
        self._credential, self._halt = credential, halt
        self._environment, self._tries = environment, max(1, int(version_wait_ms / 1000 / _LOOK_AGAIN_S))
        self._catalogue = Catalogue()
        self._plans: dict[str, dict[int, dict[str, Plan]]] = {CANARY.name: {1: compile_plans(CANARY, {})}}

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says; the newest version is compiled at once."""
        for entity in entities:
            # clients and tokens are many, and nobody asks for them here
            if isinstance(entity, OfVersions):
                self._catalogue.put(entity)
            elif isinstance(entity, Credential):
                self._credential(entity)
            elif isinstance(entity, Halt):
                self._halt(entity)
        # executions of a project that was removed go on to their end, so its plans stay
        self._catalogue.renew({}, entities, self._compile)

    async def plan(self, project: str, version: int, operation: str) -> Plan:
        """The plan that policy meant. Raises Unavailable when this version does not arrive in time, or cannot be read
        here."""
        for _ in range(self._tries):
            found = self.known(project, version, operation)
            if found is not None:
                return found
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise Unavailable(f"version {version} of project {project!r} has not arrived here yet, or cannot be read here: "
                          "the executor's log says so then", headers={"Retry-After": "1"})

    def known(self, project: str, version: int, operation: str) -> Plan | None:
        """The plan that policy meant; None while its version is not here."""
        kept = self._plans.get(project)
        plans = None if kept is None else kept.get(version)
        if plans is None:
            entity = self._catalogue.version(project, version)
            # one that was good when it was applied need not be so for this release, or without its connector
            plans = {} if entity is None else self._catalogue.compile(entity, self._compile) or {}
        return plans.get(operation)

    def _compile(self, version: ProjectVersion) -> dict[str, Plan]:
        project = Project.model_validate(version.document)
        plans = compile_plans(project, resolve_config(project, self._environment))
        kept = self._plans.setdefault(version.project, {})
        kept[version.version] = plans
        newest = sorted(kept)[-_NEWEST:]
        # one that is asked for once is asked for by many executions: those that were compiled last stay
        for old in [number for number in kept if number not in newest][:-_OLDER]:
            del kept[old]
        return plans
