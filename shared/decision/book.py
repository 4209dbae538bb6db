"""What policy knows, compiled for deciding.

In:    the catalogue's newest versions and tokens.
Out:   `PolicyBook`: projects with routes, operations with input validators, tokens by stored digest.
Never: a change in place while a call is being decided: one event loop, one book, replaced project by project.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass

from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Adjustment, Entity, Halt, ProjectVersion, Token
from shared.contracts.token import stored_digest
from shared.decision.allowances import CompiledAllowance, compile_allowances, speaking_of
from shared.decision.callers.identity import Identity
from shared.decision.jwt_verifier import JwtVerifier
from shared.decision.signals import SignalBoard
from shared.decision.vault import Vault
from shared.project.access.authentication import Authentication
from shared.project.access.forms import Form, compile_form
from shared.project.access.networks import Networks
from shared.project.access.rules import CompiledPolicy, compile_policy
from shared.project.canary import CANARY
from shared.project.cost import cost_of
from shared.project.inputs import InputValidator
from shared.project.model import Operation, Project
from shared.project.modes import Answering, answering, operations_of
from shared.project.routes import RouteTable
from shared.project.tracing import NO_RULE, TraceRule

# nobody shows a token whose client the project has no more
Owner = tuple[Token, Identity | None]
_MAX_OWNERS = 10_000


@dataclass(frozen=True, slots=True)
class GuardedOperation:
    """One operation, its compiled input schemas, and the policies that speak of it, in file order.

    `edge` and `inside`: how it answers callers from there who prefer nothing.
    """

    operation: Operation
    inputs: InputValidator
    edge: Answering
    inside: Answering
    rejects: tuple[CompiledPolicy, ...] = ()
    accepts: tuple[CompiledPolicy, ...] = ()
    limited: bool = False
    kinds: frozenset[str] = frozenset()
    form: Form | None = None
    durable: bool = False
    allowances: tuple[CompiledAllowance, ...] = ()
    least_tasks: int = 1
    tracing: TraceRule = NO_RULE


@dataclass(frozen=True, slots=True)
class GuardedProject:
    """One project version, compiled."""

    name: str
    version: int
    routes: RouteTable
    operations: Mapping[str, GuardedOperation]
    roles: Mapping[str, frozenset[str]]
    denies: bool
    authentication: Authentication
    allowances: tuple[CompiledAllowance, ...] = ()
    keeps_addresses: bool = True

    @classmethod
    def of(cls, version: ProjectVersion) -> "GuardedProject":
        """A version of the config topic. Raises whatever is wrong with its document."""
        return cls.compile(Project.model_validate(version.document), version.version)

    @classmethod
    def compile(cls, project: Project, version: int) -> "GuardedProject":
        """Compile routes, schemas and policies once per version. Raises BadRule, BadNetwork."""
        lists = {name: Networks(networks) for name, networks in project.networks.items()}
        policies = [compile_policy(policy, lists, project.name) for policy in project.policies]
        allowances = compile_allowances(project)
        return cls(project.name, version, RouteTable.of(project), {
            operation.name: _guard(operation, policies, allowances, project)
            for operation in operations_of(project)},
            {client.name: frozenset(client.roles) for client in project.clients}, project.auth == "deny",
            project.authentication, allowances, project.abuse.addresses)


def _guard(operation: Operation, policies: Sequence[CompiledPolicy], allowances: Sequence[CompiledAllowance],
           project: Project) -> GuardedOperation:
    speaking = [compiled for compiled in policies if compiled.policy.speaks_of(operation.name)]
    by_action = {action: tuple(compiled for compiled in speaking if compiled.policy.action == action)
                 for action in ("reject", "accept")}
    runs = operation.workflow in project.workflows
    return GuardedOperation(operation, InputValidator(operation), answering(operation, None, edge=True),
                            answering(operation, None, edge=False), by_action["reject"], by_action["accept"],
                            any(compiled.limits for compiled in by_action["accept"]), project.kinds_of(operation),
                            compile_form(project.headers, project.bounds, operation.name),
                            runs and project.workflows[operation.workflow].durable,
                            # what runs nothing spends nothing
                            speaking_of(allowances, operation.name) if runs else (),
                            cost_of(project, operation.workflow).least if allowances and runs else 1,
                            project.trace_rule(operation))


class PolicyBook:
    """All projects and tokens in force."""

    def __init__(self, vault: Vault | None = None) -> None:
        """Knows the canary only, by which services prove that they work."""
        self.vault = vault or Vault()
        self.jwt = JwtVerifier()
        self.signals = SignalBoard()
        self._catalogue = Catalogue()
        # by the digest that came: a caller sends the same one again and again
        self._owners: dict[str, Owner] = {}
        self._projects: dict[str, GuardedProject] = {CANARY.name: GuardedProject.compile(CANARY, 1)}

    def take(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says; a project is compiled once, in its newest version."""
        self._owners = {}
        self.signals.take_pins(entities)
        for entity in entities:
            self._catalogue.put(entity)
        self._catalogue.renew(self._projects, entities, GuardedProject.of)

    def project(self, name: str) -> GuardedProject | None:
        """The project's version in force."""
        return self._projects.get(name)

    def as_it_is(self) -> "PolicyBook":
        """The same book, in which no version, client, token or adjustment changes any more."""
        other = copy(self)
        other._projects, other._owners, other._catalogue = {**self._projects}, {}, self._catalogue.as_it_is()
        return other

    def with_project(self, guarded: GuardedProject) -> "PolicyBook":
        """The same book with another version of one project: a draft."""
        other = copy(self)
        other._projects, other._owners = {**self._projects, guarded.name: guarded}, {}
        return other

    def clients(self, project: str) -> dict[str, frozenset[str]]:
        """All clients of a project with their roles."""
        guarded = self._projects.get(project)
        declared = guarded.roles if guarded is not None else {}
        return {name: self.roles(project, name) for name in {*declared, *self._catalogue.clients_of(project)}}

    def key_addresses(self) -> set[str]:
        """Where the token issuers of all projects publish their keys."""
        return {scheme.jwks for project in self._projects.values() for scheme in project.authentication.jwt}

    def roles(self, project: str, client: str) -> frozenset[str]:
        """What a client may be: as it was made one by one, else as the project's files declare it."""
        made = self._catalogue.clients.get((project, client))
        if made is not None:
            return frozenset(made.roles)
        guarded = self._projects.get(project)
        return guarded.roles.get(client, frozenset()) if guarded is not None else frozenset()

    def adjustment(self, project: str, allowance: str) -> Adjustment | None:
        """What an operator has changed about an allowance."""
        return self._catalogue.adjustments.get((project, allowance))

    def halt(self, project: str, workflow: str) -> Halt | None:
        """By which an operator has stopped a workflow; None while it runs."""
        return self._catalogue.halts.get((project, workflow))

    def owner(self, topic_digest: str) -> Owner | None:
        """The token that a digest stands for on its topic, whatever its state, and who shows it."""
        known = self._owners.get(topic_digest)
        if known is None:
            token = self._catalogue.tokens_by_digest.get(stored_digest(topic_digest))
            if token is None:
                return None
            if len(self._owners) >= _MAX_OWNERS:
                self._owners.clear()
            known = self._owners[topic_digest] = token, self._shows(token)
        return known

    def _shows(self, token: Token) -> Identity | None:
        place, guarded = (token.project, token.client), self._projects.get(token.project)
        if place not in self._catalogue.clients and (guarded is None or token.client not in guarded.roles):
            return None
        return Identity(client=token.client, roles=self.roles(*place), token=token.id)
