"""Span names and attributes, after the OpenTelemetry messaging and HTTP conventions.

In:    nothing.
Out:   constants.
Never: a span name taken from a function name: a rename would break dashboards.
"""

POLICY_DECIDE = "policy decide"
WORKFLOW_RUN = "workflow run"

REQUEST_ID = "weir.request.id"
PROJECT = "weir.project"
OPERATION = "weir.operation"
CLIENT = "weir.client"
REASON = "weir.reason"
POLICY = "weir.policy"
OBSERVED = "weir.observed"
STEP_ID = "weir.step.id"
STEP_KIND = "weir.step.kind"
TASKS = "weir.tasks"
QUEUE_US = "weir.queue_us"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_FULL = "url.full"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_PARTITION = "messaging.destination.partition.id"
MESSAGING_OFFSET = "messaging.kafka.offset"
KAFKA = "kafka"


def send(topic: str) -> str:
    """Name of a producer span."""
    return f"send {topic}"


def process(topic: str) -> str:
    """Name of a consumer span."""
    return f"process {topic}"


def step(step_id: str) -> str:
    """Name of the span of one workflow step."""
    return f"step {step_id}"
