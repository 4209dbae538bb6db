"""Span names and attributes, after the OpenTelemetry messaging and HTTP conventions.

In:    nothing.
Out:   constants.
Never: a span name taken from a function name: a rename would break dashboards.
"""

# of the conventions that the names below are taken from
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SERVICE_NAME = "service.name"
SERVICE_NAMESPACE = "service.namespace"
SERVICE_INSTANCE = "service.instance.id"

POLICY_DECIDE = "policy decide"

REQUEST_ID = "weir.request.id"
PROJECT = "weir.project"
OPERATION = "weir.operation"
CLIENT = "weir.client"
SOURCE = "weir.source"
STATUS = "weir.status"
REASON = "weir.reason"
# the policy, limit or allowance that has refused; otherwise the policies that accept the call, if it needs one
POLICY = "weir.policy"
OBSERVED = "weir.observed"
WORKFLOW = "weir.workflow"
STEP_ID = "weir.step.id"
STEP_KIND = "weir.step.kind"
TASKS = "weir.tasks"
PARTS = "weir.parts"
# between the moment at which the broker took a record and the one at which it was read
QUEUE_US = "weir.queue_us"
# the span was made afterwards, from the times in the answer
LATE = "weir.late"
PASS = "weir.loop.pass"
PASSES_COUNT = "weir.loop.passes"
PASSES_FAILED = "weir.loop.failed"
PASSES_LONGEST_US = "weir.loop.longest_us"
EVENTS_COUNTED = "weir.usage.events"

# events
RETRY = "retry"
ATTEMPT = "weir.attempt"
PAUSE_MS = "weir.pause_ms"
NO_REPLY = "no reply"
PARKED = "parked"
PARK_UNTIL_MS = "weir.park.until_ms"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
URL_FULL = "url.full"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_PARTITION = "messaging.destination.partition.id"
MESSAGING_OFFSET = "messaging.kafka.offset"
MESSAGING_GROUP = "messaging.consumer.group.name"
MESSAGING_BODY_SIZE = "messaging.message.body.size"
KAFKA = "kafka"


def check_us(name: str) -> str:
    """Attribute: how long one check of a decision took, or what it waited for."""
    return f"weir.check.{name}_us"


def service(name: str) -> str:
    """`service.name` of a Weir service."""
    return f"weir-{name}"


def server(method: str, route: str) -> str:
    """Name of the span of an HTTP request that came in."""
    return f"{method} {route}"


def send(topic: str) -> str:
    """Name of a producer span."""
    return f"send {topic}"


def process(topic: str) -> str:
    """Name of a consumer span."""
    return f"process {topic}"


def workflow(name: str) -> str:
    """Name of the span of one run of a workflow."""
    return f"workflow {name}"


def step(step_id: str) -> str:
    """Name of the span of one workflow step."""
    return f"step {step_id}"


def loop_pass(index: int) -> str:
    """Name of the span of one pass of a loop, from 0."""
    return f"pass {index}"
