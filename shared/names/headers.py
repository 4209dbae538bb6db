"""Record header keys, and the HTTP headers that the cluster itself reads or writes.

In:    nothing.
Out:   constants; the wire form behind each key is documented in `shared/contracts`.
Never: encoding or decoding.
"""

# request; the edge writes one header for all of them but the id
REQUEST = "weir-request"
REQUEST_ID = "weir-request-id"
PROJECT = "weir-project"
OPERATION = "weir-operation"
METHOD = "weir-method"
PATH = "weir-path"
PARAMS = "weir-params"
HTTP = "weir-http"
DEADLINE = "weir-deadline"
CORRELATION_ID = "weir-correlation-id"
REPLY_TOPIC = "weir-reply-topic"
REPLY_PARTITION = "weir-reply-partition"
# how many operations stand behind this one, each called by a workflow of the one before
DEPTH = "weir-depth"
TOKEN_DIGEST = "weir-token-digest"
SEALED = "weir-sealed"
IDEMPOTENCY_KEY = "idempotency-key"
CONTENT_TYPE = "content-type"
PREFER = "prefer"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
BAGGAGE = "baggage"

# execution: what policy found out; the others are those of its older form
EXECUTION = "weir-execution"
VERSION = "weir-version"
CLIENT = "weir-client"
TOKEN = "weir-token"
ADDRESS = "weir-address"
SOURCE = "weir-source"
ORIGIN = "weir-origin"
OBSERVED = "weir-observed"
HOLDS = "weir-holds"
CLAIM = "weir-claim"
KEEP = "weir-keep"
TRIGGER = "weir-trigger"

# reply
STATUS = "weir-status"
REPLY_HEADERS = "weir-headers"
TIMING = "weir-timing"
# of an answer in parts; usage envelopes are numbered by the first one, too
SEQUENCE = "weir-sequence"
LAST = "weir-last"
EVENT = "weir-event"

# usage envelope
PRODUCER = "weir-producer"
FORMAT = "weir-format"

# dead letter: where the record stood and why it could not be used
DEAD_TOPIC = "weir-dead-topic"
DEAD_PARTITION = "weir-dead-partition"
DEAD_OFFSET = "weir-dead-offset"
DEAD_SERVICE = "weir-dead-service"
DEAD_ERROR = "weir-dead-error"
DEAD_TIME = "weir-dead-time"
# the record itself is not in the letter, it was too large: it stands at its place
DEAD_CUT = "weir-dead-cut"
# what an operator did about a letter, and which one
DEAD_NOTE = "weir-dead-note"
DEAD_LETTER = "weir-dead-letter"
# on a record that is sent again: the letter that it was
REPLAY_OF = "weir-replay-of"
# stands in for the headers of a record that the Kafka client cannot read; says why
UNREADABLE = "weir-unreadable"

# other people's dialects
SPRING_CORRELATION_ID = "kafka_correlationId"
SPRING_REPLY_TOPIC = "kafka_replyTopic"
SPRING_REPLY_PARTITION = "kafka_replyPartition"
PLAIN_CORRELATION_ID = "correlation_id"
PLAIN_REPLY_TO = "reply_to"

# headers whose raw value is a secret: never published, never forwarded, never logged (lower case)
SECRET_HEADERS = frozenset({
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey",
    "x-auth-token", "webhook-signature",
})

# asks for a trace; heard when the client may (`tracing.debug` of the project)
HTTP_TRACE = "x-weir-trace"

# a character of a name (RFC 9110, 5.6.2), as a pattern
TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"

# HTTP headers that the edge keeps to itself (lower case): no policy, no limit and no workflow ever sees them.
# RFC 9110, 7.6.1: these speak of the connection, not of the request
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
                         "proxy-connection", "content-length", "content-encoding", "expect"})
UNSEEN_HEADERS = _HOP_BY_HOP | SECRET_HEADERS | {
    TRACEPARENT, TRACESTATE, BAGGAGE, HTTP_TRACE, CONTENT_TYPE, IDEMPOTENCY_KEY, PREFER, "host"}

HTTP_ALLOWANCE = "Allowance"
# of a listing that ended before all was looked at: at how many it has looked, the newest
HTTP_LOOKED_AT = "Weir-Looked-At"
HTTP_PREFERENCE_APPLIED = "Preference-Applied"
HTTP_REPLAYED = "Idempotency-Replayed"
HTTP_REQUEST_ID = "X-Request-Id"
# what stands in `Server`: no word on what it is made of
SERVER = "weir"
PROBLEM_JSON = "application/problem+json"
JSON = "application/json"
TEXT = "text/plain"
EVENT_STREAM = "text/event-stream"
LAST_EVENT_ID = "last-event-id"
