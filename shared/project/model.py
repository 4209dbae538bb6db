"""The project: what its owner writes, typed.

In:    mappings from YAML files or from the canonical JSON document; both have the same shape.
Out:   frozen models; `Project.to_document()` gives the canonical document back.
Never: positions in files (`load.py`), rules that look at more than one object (`check.py`).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from shared.project.access.abuse import Abuse
from shared.project.access.authentication import Authentication, Kind
from shared.project.access.policies import Network, Policy
from shared.project.access.traffic import Bounds, Cors, HeaderPolicy
from shared.project.allowance import Allowances
from shared.project.base import Model, Name, RoleName, shaped
from shared.project.durations import Duration
from shared.project.steps.base import Step
from shared.project.steps.control import Status
from shared.project.steps.work import Method
from shared.project.tracing import Traced, TracedProject, TraceRule, trace_rule

Path = Annotated[str, shaped(r"^/", "a path that begins with /, as /orders/{id}", 500)]
Schema = dict[str, Any] | bool

MAX_TIMEOUT_MS = 300_000
# beyond the first, only what is durable may go on
MAX_LIVE_RUN_MS, MAX_RUN_MS = 1_800_000, 30 * 86_400_000
REPLY_STATUS = {"success": 200, "invalid_input": 400, "forbidden": 403, "internal_error": 500}
# variables of the executor that a workflow may read, among those that are Weir's
_FOR_WORKFLOWS = ("WEIR_CONFIG_", "WEIR_EXAMPLE_")
PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")


def _not_ours(variable: str) -> str:
    if variable.upper().startswith("WEIR_") and not variable.startswith(_FOR_WORKFLOWS):
        raise ValueError(f"{variable[:80]} is a setting of Weir, and may be a secret; workflows read variables of "
                         f"other names, or those that begin with {' or '.join(_FOR_WORKFLOWS)}")
    return variable


class ConfigValue(Model):
    """A value that workflows read as `config.<name>`; `env` names a variable that overrides the default."""

    default: Any = None
    env: Annotated[str, AfterValidator(_not_ours)] | None = None


class InputSchemas(Model):
    """JSON Schemas (2020-12) of what an operation takes: objects by parameter name, and the body."""

    path: Schema | None = None
    query: Schema | None = None
    headers: Schema | None = None
    body: Schema | None = None


class ReplySchema(Model):
    """One declared reply of an operation; the status of the four well-known names need not be said."""

    status: Status | None = Field(default=None, ge=200, le=599)
    description: str = ""
    headers: Schema | None = None
    body: Schema | None = None


class Idempotency(Model):
    """`Idempotency-Key`: whether it has to come, and how long the first answer is given again."""

    required: bool = False
    keep_ms: Duration = Field(default=86_400_000, alias="keep", ge=1000, le=30 * 86_400_000)


class Operation(Model):
    """Method and path, what goes in and comes out, and the workflow that runs."""

    name: Name
    method: Method
    path: Path
    workflow: Name
    mode: Literal["request_response", "validate", "fire_and_forget", "events"] = "request_response"
    title: str = ""
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    public: bool = False
    enabled: bool = True
    timeout_ms: Duration = Field(default=30_000, alias="timeout", ge=1, le=MAX_TIMEOUT_MS)
    run_timeout_ms: Duration | None = Field(default=None, alias="run_timeout", ge=1, le=MAX_RUN_MS, description=
                                            "How long the work may go on when nobody waits any more; five minutes if "
                                            "unset, and `timeout` in the mode `events`")
    authentication: tuple[Kind, ...] | None = Field(default=None, min_length=1, description=
                                                    "Kinds of proof of this operation; without it those of the project")
    idempotency: Idempotency = Idempotency()
    tracing: Traced = Traced()
    input: InputSchemas = InputSchemas()
    replies: dict[str, ReplySchema] = Field(default_factory=dict)

    @property
    def path_parameters(self) -> frozenset[str]:
        """Names between braces in the path template."""
        return frozenset(PARAMETER.findall(self.path))

    def reply_status(self, name: str) -> int | None:
        """The status of a reply by its name; None when neither the operation nor the well-known names have it."""
        declared = self.replies.get(name)
        if declared is not None and declared.status is not None:
            return declared.status
        return REPLY_STATUS.get(name)

    def replies_by_status(self) -> dict[int, str]:
        """What a status alone means: the one declared reply that has it."""
        statuses = {name: self.reply_status(name) or 200 for name in self.replies}
        return {status: name for name, status in statuses.items() if list(statuses.values()).count(status) == 1}


class Workflow(Model):
    """Ordered steps; the trigger is the request, or another workflow's `call`.

    `input` and `output` are checked when it is called by another workflow.
    """

    name: Name
    title: str = ""
    description: str = ""
    input: Schema | None = None
    output: Schema | None = None
    durable: bool = Field(default=False, description="Each finished step is noted: when its executor dies, another one "
                                                     "goes on where it stopped, instead of starting over")
    max_tasks: int = Field(default=10_000, ge=2, description="An execution that runs more tasks is ended")
    steps: tuple[Step, ...] = Field(min_length=1)


class ClientDef(Model):
    """A named caller that the project itself declares."""

    name: Name
    roles: tuple[RoleName, ...] = ()


class Access(Model):
    """The file `access.yaml`: who there is, and what they may do. `networks`: lists of CIDR that rules name."""

    roles: tuple[RoleName, ...] = ()
    clients: tuple[ClientDef, ...] = ()
    authentication: Authentication = Authentication()
    networks: dict[Name, tuple[Network, ...]] = Field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    headers: tuple[HeaderPolicy, ...] = ()
    cors: tuple[Cors, ...] = ()
    bounds: tuple[Bounds, ...] = ()
    abuse: Abuse = Abuse()


CredentialKind = Literal["bearer", "basic", "api_key", "oauth2", "hmac"]


class DeclaredCredential(Model):
    """One of `credentials.yaml`: what workflows prove themselves with to outside systems. No value."""

    name: Name
    kind: CredentialKind
    description: str = ""


class Project(Access):
    """All files of a project in one. `auth`: a valid token may call everything, or only what a policy accepts."""

    name: Name
    title: str = ""
    version: str = ""
    description: str = ""
    auth: Literal["token", "deny"] = "token"
    allowance: Allowances = ()
    config: dict[str, ConfigValue] = Field(default_factory=dict)
    tracing: TracedProject = TracedProject()
    operations: tuple[Operation, ...] = ()
    workflows: dict[str, Workflow] = Field(default_factory=dict)
    credentials: tuple[DeclaredCredential, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The canonical document: what `model_validate` reads, without what is a default anyway."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def kinds_of(self, operation: Operation) -> frozenset[Kind]:
        """Kinds of proof that an operation takes."""
        kinds = self.authentication.kinds()
        return kinds if operation.authentication is None else kinds & frozenset(operation.authentication)

    def trace_rule(self, operation: Operation) -> TraceRule:
        """Which calls of an operation leave a trace."""
        return trace_rule(operation.tracing, self.tracing, waits=operation.mode == "request_response")
