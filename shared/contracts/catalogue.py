"""The fold of `weir.config`: what every service knows of projects, clients and tokens.

In:    entities in the order of the topic.
Out:   the newest version of each project, older ones for history, tokens by stored digest.
Never: compiled things; each service compiles what it needs from what `put` says has changed.
"""

import logging
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from copy import copy
from typing import TypeVar

from shared.contracts.config import (
    Adjustment,
    Client,
    Credential,
    DroppedToken,
    DroppedVersion,
    Entity,
    Halt,
    LogLevel,
    OfVersions,
    OldVersion,
    Pin,
    ProjectVersion,
    Token,
)
from shared.names import actions

log = logging.getLogger(__name__)
T = TypeVar("T")


class Catalogue:
    """Grows by `put`; reading it needs no lock because one event loop owns it."""

    def __init__(self) -> None:
        """An empty catalogue."""
        # all but the newest of each project packed, and that, too, once it is compiled: few are ever asked for
        self._versions: dict[str, dict[int, ProjectVersion | OldVersion]] = {}
        self.clients: dict[tuple[str, str], Client] = {}
        # the same by project: there are many projects, and who asks means one
        self._clients_of: dict[str, dict[str, Client]] = {}
        self.credentials: dict[tuple[str, str], Credential] = {}
        self.halts: dict[tuple[str, str], Halt] = {}
        self.adjustments: dict[tuple[str, str], Adjustment] = {}
        self.log_levels: dict[str, LogLevel] = {}
        self.tokens: dict[str, Token] = {}
        self._tokens_of: dict[str, dict[str, Token]] = {}
        self.tokens_by_digest: dict[str, Token] = {}

    def as_it_is(self) -> "Catalogue":
        """The same, in which nothing that decides calls changes any more."""
        other = copy(self)
        other.clients, other.adjustments = {**self.clients}, {**self.adjustments}
        other._clients_of = {project: {**known} for project, known in self._clients_of.items()}
        other.tokens, other.tokens_by_digest = {**self.tokens}, {**self.tokens_by_digest}
        return other

    def put(self, entity: Entity) -> None:
        """Take one entity in; the same one twice changes nothing."""
        if isinstance(entity, OfVersions):
            self._put_version(entity)
        elif isinstance(entity, Client):
            self._put_client(entity)
        elif isinstance(entity, Credential):
            self.credentials.pop((entity.project, entity.name), None)
            if entity.sealed:
                self.credentials[entity.project, entity.name] = entity
        elif isinstance(entity, Halt):
            self.halts.pop((entity.project, entity.workflow), None)
            if entity.halted:
                self.halts[entity.project, entity.workflow] = entity
        elif isinstance(entity, LogLevel):
            self.log_levels[entity.name] = entity
        elif isinstance(entity, Adjustment):
            self.adjustments[entity.project, entity.name] = entity
        elif not isinstance(entity, Pin):
            # pins are kept by those who stop callers, see decision/signals.py
            self._put_token(entity)

    def _put_client(self, client: Client) -> None:
        of_project = self._clients_of.setdefault(client.project, {})
        self.clients.pop((client.project, client.name), None)
        of_project.pop(client.name, None)
        if not client.removed:
            self.clients[client.project, client.name] = of_project[client.name] = client

    def _put_version(self, version: OfVersions) -> None:
        versions = self._versions.get(version.project, {})
        newest = versions.get(max(versions, default=0))
        if isinstance(version, DroppedVersion):
            # never the one in force: nothing would be left of its project
            if newest is not None and version.version < newest.version:
                versions.pop(version.version, None)
            return
        self._versions[version.project] = versions
        if newest is not None and newest.version > version.version:
            version = _packed(version)
        elif newest is not None:
            versions[newest.version] = _packed(newest)
        versions[version.version] = version

    def _put_token(self, token: Token | DroppedToken) -> None:
        before = self.tokens.pop(token.id, None)
        if before is not None:
            self._tokens_of[before.project].pop(token.id)
        for digest in () if before is None else before.digests.values():
            self.tokens_by_digest.pop(digest, None)
        if isinstance(token, Token):
            self.tokens[token.id] = self._tokens_of.setdefault(token.project, {})[token.id] = token
            for digest in token.digests.values():
                self.tokens_by_digest[digest] = token

    def projects(self) -> list[str]:
        """Names of all projects, sorted."""
        return sorted(self._versions)

    def clients_of(self, project: str) -> Mapping[str, Client]:
        """Those of a project that were made one by one, by name."""
        return self._clients_of.get(project, {})

    def tokens_of(self, project: str) -> Collection[Token]:
        """The tokens of a project."""
        return self._tokens_of.get(project, {}).values()

    def newest(self, project: str) -> ProjectVersion | None:
        """The version in force."""
        versions = self._versions.get(project)
        return _whole(versions[max(versions)]) if versions else None

    def renew(self, in_force: MutableMapping[str, T], entities: Sequence[Entity],
              compile_version: Callable[[ProjectVersion], T]) -> None:
        """Bring what is in force, by project, to where it is after these entities; projects that were removed are not.

        A version that a later release has written must not keep a service of this release from starting: the newest
        version that compiles is in force, one that does not is said and forgotten, and the one before it serves.
        """
        for project in {entity.project for entity in entities if isinstance(entity, ProjectVersion)}:
            while (newest := self.newest(project)) is not None:
                if newest.removes:
                    in_force.pop(project, None)
                    break
                if (compiled := self.compile(newest, compile_version)) is not None:
                    in_force[project] = compiled
                    # what was made of it is asked from now on: of thousands of projects it would be most of the memory
                    self._versions[project][newest.version] = newest.packed()
                    break

    def compile(self, version: ProjectVersion, compile_version: Callable[[ProjectVersion], T]) -> T | None:
        """One kept version; None where it does not compile: that is said, and the version forgotten."""
        try:
            return compile_version(version)
        except Exception as exc:
            log.error("version %d of project %s is passed over: %s", version.version, version.project, exc,
                      extra={"action": actions.CONFIG_UNREADABLE})
            del self._versions[version.project][version.version]
            return None

    def history(self, project: str) -> list[ProjectVersion | OldVersion]:
        """All kept versions, oldest first."""
        return [version for _, version in sorted(self._versions.get(project, {}).items())]

    def version(self, project: str, number: int) -> ProjectVersion | None:
        """One kept version."""
        found = self._versions.get(project, {}).get(number)
        return None if found is None else _whole(found)


def _packed(version: ProjectVersion | OldVersion) -> OldVersion:
    return version.packed() if isinstance(version, ProjectVersion) else version


def _whole(version: ProjectVersion | OldVersion) -> ProjectVersion:
    return version.unpacked() if isinstance(version, OldVersion) else version
