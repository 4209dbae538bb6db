"""Entities on the compacted topic `weir.config`, one record each.

In:    what the admin API was told.
Out:   `ProjectVersion`, `Client`, `Token`, `Credential`, `Halt`, `Adjustment`, `LogLevel`, `Pin`
       and their keys, both ways; `OldVersion`, a version in little memory; `DroppedVersion`, `DroppedToken`, of which
       the record was removed.
Never: a raw secret; a change to an entity in place: a new value under the same key replaces the old one.

| key | value |
| --- | --- |
| `project/<name>/<version>` | {version, document, files, author, time, note} |
| `client/<project>/<name>` | {project, name, roles, time}; and `removed`, true, when it is there no more |
| `credential/<project>/<name>` | {project, name, kind, sealed, time} |
| `halt/<project>/<workflow>` | {project, workflow, halted, reason, time} |
| `log-level/<service>` | {name, level, until, time, project} |
| `allowance/<project>/<name>` | {project, name, start, raised, forgiven, time} |
| `pin/<project>/<kind>/<subject>` | the fields of a signal; `action` is empty when it is lifted |
| `token/<id>` | {id, project, client, digests, created, expires, revoked} |

A project's version in force is its highest one; one record holds the whole version, so it is there or it is not. One
without files, whose document is empty or has nothing but the project's name, removes the project, and what came before
can be gone back to.
"""

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import Meta

from shared.contracts import codec
from shared.errors import BadRecord, WorkflowStopped

# what the admin API gives, and room for what it adds up
Amount = Annotated[int, Meta(ge=-2**62, le=2**62)]
Rate = Annotated[int, Meta(ge=0, le=1_000_000)]


def _version_key(project: str, version: int) -> bytes:
    return f"project/{project}/{version}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectVersion:
    """`document` is the canonical project model as JSON; `files` are the owner's files, for export and diff.

    An empty document is none: the project was removed.
    """

    project: str
    version: int
    document: dict[str, Any]
    files: dict[str, str]
    time: int
    author: str = ""
    note: str = ""

    @property
    def key(self) -> bytes:
        """The record's key."""
        return _version_key(self.project, self.version)

    @property
    def removes(self) -> bool:
        """Whether the project is in force no more."""
        return not self.document

    @property
    def operation_count(self) -> int:
        """How many operations it has."""
        return len(self.document.get("operations", ()))

    @property
    def workflow_names(self) -> Collection[str]:
        """What its workflows are called."""
        return tuple(self.document.get("workflows", ()))

    def packed(self) -> "OldVersion":
        """The same, for when it is not in force any more."""
        return OldVersion(
            project=self.project, version=self.version, time=self.time, author=self.author, note=self.note,
            operation_count=self.operation_count, workflow_names=self.workflow_names,
            content=zlib.compress(orjson.dumps({"document": self.document, "files": self.files}), level=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class OldVersion:
    """A version that another one has followed: what lists tell of it, and the rest in a tenth of the memory."""

    project: str
    version: int
    time: int
    author: str
    note: str
    operation_count: int
    workflow_names: Collection[str]
    content: bytes

    @property
    def key(self) -> bytes:
        """The record's key."""
        return _version_key(self.project, self.version)

    def unpacked(self) -> ProjectVersion:
        """The version as it was."""
        return ProjectVersion(project=self.project, version=self.version, time=self.time, author=self.author,
                              note=self.note, **orjson.loads(zlib.decompress(self.content)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedVersion:
    """A version that is kept no more: its record has no value."""

    project: str
    version: int

    @property
    def key(self) -> bytes:
        """The record's key."""
        return _version_key(self.project, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A named caller of one project, made one by one; `removed`: it is there no more."""

    project: str
    name: str
    time: int
    roles: list[str] = field(default_factory=list)
    removed: bool = False

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"client/{self.project}/{self.name}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`digests`: stored digest per request topic, hex. Times in unix ms; `expires` None lives until revoked."""

    id: str
    project: str
    client: str
    digests: dict[str, str]
    created: int
    expires: int | None = None
    revoked: int | None = None

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"token/{self.id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedToken:
    """A token of which nobody is told any more that it was revoked, or that it has expired."""

    id: str

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"token/{self.id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A proof for an outside system; `sealed` under the cluster's key, empty when it is removed."""

    project: str
    name: str
    kind: str
    sealed: str
    time: int

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"credential/{self.project}/{self.name}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Whether a workflow is stopped: none of its runs begins then, and those that run end."""

    project: str
    workflow: str
    halted: bool
    time: int
    reason: str = ""

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"halt/{self.project}/{self.workflow}".encode()

    @property
    def told(self) -> str:
        """What callers read."""
        return f"workflow {self.workflow!r} is stopped by an operator{f': {self.reason}' if self.reason else ''}"

    @property
    def refusal(self) -> WorkflowStopped:
        """Of a run that would begin."""
        return WorkflowStopped(self.told, headers={"Retry-After": "60"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What an operator has changed about an allowance, for the period that begins at `start`, and for that one alone.

    `raised`: tasks more, by subject; `forgiven`: tasks that had been spent when it was reset, by subject. A subject is
    the JSON array of what the allowance is kept by; `*` in `raised` stands for each of them.
    """

    project: str
    name: str
    start: int
    time: int
    raised: dict[str, Amount] = field(default_factory=dict)
    forgiven: dict[str, Amount] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"allowance/{self.project}/{self.name}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLevel:
    """What a service's log tells until a time in unix ms. `name`: the service, or `*`; it is of no project."""

    name: str
    level: Literal["debug", "info", "warning", "error"]
    until: int
    time: int
    project: str = "*"

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"log-level/{self.name}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A signal that outlives the topic of signals: until a person ends it, or for long. `action` is empty then."""

    project: str
    kind: str
    subject: str
    action: str
    until: int
    time: int
    detector: str
    version: int = 0
    reason: str = ""
    rate: Rate = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"pin/{self.project}/{self.kind}/{self.subject}".encode()


EVERY_SERVICE = "*"
# more than any number of a version has
_MOST_DIGITS = 18
Written = ProjectVersion | Client | Token | Credential | Halt | Adjustment | LogLevel | Pin
Dropped = DroppedVersion | DroppedToken
Entity = Written | OldVersion | Dropped
# all that is said of versions
OfVersions = ProjectVersion | OldVersion | DroppedVersion
_KINDS: dict[str, type[Written]] = {
    "project": ProjectVersion, "client": Client, "token": Token, "credential": Credential, "halt": Halt,
    "allowance": Adjustment, "log-level": LogLevel, "pin": Pin}


def to_value(entity: Written) -> bytes:
    """The record's value."""
    if isinstance(entity, Client) and not entity.removed:
        # releases that know no removed ones go on reading the others
        return orjson.dumps({"project": entity.project, "name": entity.name, "time": entity.time,
                             "roles": entity.roles})
    if isinstance(entity, ProjectVersion) and entity.removes:
        # releases that know no removal read a project without operations; what they could not read they would pass
        # over, and the version before would be in force there
        return orjson.dumps(replace(entity, document=_emptied(entity)))
    return orjson.dumps(entity)


def from_record(key: bytes | None, value: bytes) -> Written:
    """Read one record. Raises BadRecord."""
    kind = (key or b"").partition(b"/")[0].decode(errors="replace")
    if kind not in _KINDS:
        raise BadRecord(f"config record with unknown key {(key or b'')[:80]!r}")
    doc = codec.load_object(value, "config record")
    try:
        # members that this version does not know are refused here, what is in the others below
        _KINDS[kind](**doc)
        entity = msgspec.convert(doc, _KINDS[kind])
    except (TypeError, msgspec.ValidationError) as exc:
        raise BadRecord(f"config record {key!r}: {exc}") from exc
    if entity.key != key:
        raise BadRecord(f"config record {key!r} holds {entity.key!r}")
    if isinstance(entity, ProjectVersion) and not entity.files and entity.document == _emptied(entity):
        return replace(entity, document={})
    return entity


def _emptied(version: ProjectVersion) -> dict[str, Any]:
    return {"name": version.project}


def removed(key: bytes | None) -> Dropped | None:
    """What a record without a value says. Nothing else than versions and tokens is ever removed."""
    kind, _, place = (key or b"").decode(errors="replace").partition("/")
    if kind == "token":
        return DroppedToken(id=place)
    project, _, number = place.rpartition("/")
    if kind != "project" or not number.isascii() or not number.isdecimal() or len(number) > _MOST_DIGITS:
        return None
    return DroppedVersion(project=project, version=int(number))
