"""Which operation does a URL mean?

In:    the newest project versions; method and raw path of a request.
Out:   the operation and its path parameters, or a refusal; nothing was published then.
Never: who calls.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Entity, ProjectVersion, Token
from shared.contracts.token import stored_digest
from shared.errors import MethodNotAllowed, OperationNotFound
from shared.project.access.authentication import ApiKey
from shared.project.access.traffic import Change, Cors
from shared.project.model import Operation, Project
from shared.project.modes import Answering, answering, operations_of
from shared.project.routes import Match, RouteTable
from shared.project.routes import MethodNotAllowed as OtherMethods
from shared.project.tracing import NO_RULE, TraceRule


def origin_form(target: str) -> str:
    """The target of a request, from its path on; clients of proxies write the whole address (RFC 9112, 3.2.2)."""
    if target.startswith("/"):
        return target
    scheme, mark, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if mark and scheme.lower() in {"http", "https"} else target


def split(path: str) -> tuple[str, str]:
    """The project, and the path below it."""
    project, _, rest = path.partition("/")[2].partition("/")
    return project, "/" + rest


class Target(Struct, frozen=True):
    """Where a request goes. All but `params` is the same for every request of the operation. `usual`: how it answers
    those who prefer nothing; `changes`: of the headers of every answer."""

    project: str
    operation: Operation
    params: Mapping[str, str]
    kinds: frozenset[str] = frozenset({"token"})
    api_key: ApiKey | None = None
    cors: Sequence[Cors] = ()
    changes: Sequence[Change] = ()
    tracing: TraceRule = NO_RULE
    usual: Answering | None = None

    def answering(self, prefer: str | None) -> Answering:
        """How it answers at the edge."""
        if prefer is None and self.usual is not None:
            return self.usual
        return answering(self.operation, prefer, edge=True)


class Served(Struct, frozen=True):
    """A project as the edge needs it. `targets` by operation, without parameters; `plain` by method and path, of paths
    that have none. `cors`: what is said of browsers for all operations."""

    project: Project
    version: int
    routes: RouteTable
    targets: Mapping[str, Target]
    plain: Mapping[tuple[str, str], Target]
    keeps_addresses: bool
    cors: Sequence[Cors] = ()

    @classmethod
    def of(cls, version: ProjectVersion) -> "Served":
        """A version of the config topic. Raises whatever is wrong with its document."""
        project = Project.model_validate(version.document)
        routes, targets, plain = RouteTable.of(project), dict[str, Target](), dict[tuple[str, str], Target]()
        for operation in operations_of(project):
            targets[operation.name] = Target(
                version.project, operation, {}, project.kinds_of(operation), project.authentication.api_key,
                [rule for rule in project.cors if rule.speaks_of(operation.name)],
                [policy.answer for policy in project.headers
                 if policy.speaks_of(operation.name) and policy.answer != Change()], project.trace_rule(operation),
                answering(operation, None, edge=True))
        for operation in operations_of(project):
            found = routes.match(operation.method, operation.path)
            if isinstance(found, Match) and not found.params:
                plain[operation.method, operation.path] = targets[found.operation.name]
        return cls(project, version.version, routes, targets, plain, project.abuse.addresses,
                   [rule for rule in project.cors if "*" in rule.operations])


class EdgeRoutes:
    """Routes of all projects; replaced project by project when a new version comes."""

    def __init__(self) -> None:
        """No projects yet."""
        self._catalogue = Catalogue()
        self._served: dict[str, Served] = {}

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says."""
        for entity in entities:
            self._catalogue.put(entity)
        self._catalogue.renew(self._served, entities, Served.of)

    def served(self, project: str) -> Served | None:
        """A project in force."""
        return self._served.get(project)

    def caller_of(self, digest: str) -> Token | None:
        """Whose token a digest stands for; policy decides whether it is any good."""
        return self._catalogue.tokens_by_digest.get(stored_digest(digest))

    def find(self, method: str, project: str, path: str) -> Target:
        """The operation at a path. Raises OperationNotFound, MethodNotAllowed."""
        served = self._served.get(project)
        if served is None:
            raise OperationNotFound(f"there is no project {project[:80]!r} here")
        target = served.plain.get((method, path))
        if target is not None:
            return target
        found = served.routes.match(method, path)
        if isinstance(found, Match):
            return structs.replace(served.targets[found.operation.name], params=found.params)
        if isinstance(found, OtherMethods):
            allow = ", ".join(found.allow)
            raise MethodNotAllowed(f"this path takes {allow}, not {method[:20]}", headers={"Allow": allow})
        raise OperationNotFound(f"project {project!r} has no operation at {path[:200]!r}; "
                                f"/{project}/reference lists them")

    def everywhere(self, project: str) -> Sequence[Cors]:
        """What is said of browsers where nothing leads to an operation."""
        served = self._served.get(project)
        return () if served is None else served.cors

    def browsers(self, method: str, project: str, path: str) -> tuple[Sequence[Cors], Sequence[str]]:
        """What is said of browsers where a call would lead, and the methods that are there. Where it would be refused
        its page hears so by the answer, if it gets to call; an operation for OPTIONS says so itself."""
        try:
            target = self.find(method, project, path)
        except MethodNotAllowed as error:
            allow = error.headers["Allow"].split(", ")
            return (() if "OPTIONS" in allow else self.everywhere(project)), allow
        except OperationNotFound:
            return self.everywhere(project), [method] if method.isascii() and method.isalpha() else []
        return target.cors, [target.operation.method]
