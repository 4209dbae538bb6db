"""The one door through which errors of the Kafka client come in.

In:    aiokafka's errors, asyncio's time-outs.
Out:   `KafkaUnavailable` (try again), `SendFailed` (this batch is lost), one sentence each.
Never: aiokafka.errors imported anywhere else.
"""

import logging

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidCommitOffsetSizeError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    OffsetMetadataTooLargeError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
    UnsupportedCodecError,
)

from shared.errors import Blame, Retry, WeirError
from shared.names.reasons import Reason

CLIENT_ERRORS = (KafkaError, OSError, AssertionError, TimeoutError)
# what the client says of a topic that is not there, or not for us
UnknownTopic, NotAuthorized = UnknownTopicOrPartitionError, TopicAuthorizationFailedError
# what it says of a batch that is larger than the broker takes; a record that was alone is refused each time
MessageSizeTooLarge = MessageSizeTooLargeError
# what the client says of a record that it will never read: it was compressed by what is not installed
UNREADABLE = UnsupportedCodecError
_MAY_NOT = ("the broker's rules do not let this process do it; `python -m deploy.kafka.acls` prints those that each "
            "service needs")
# what to do about it
_TO_DO: dict[type[KafkaError], str] = {
    TopicAuthorizationFailedError: _MAY_NOT, GroupAuthorizationFailedError: _MAY_NOT,
    ClusterAuthorizationFailedError: _MAY_NOT,
    MessageSizeTooLargeError: "the broker takes less than this process sends at once: raise max.message.bytes of the "
                              "topic to 1048588, or lower WEIR_KAFKA_MAX_BATCH_BYTES"}


class _Overheard(logging.Handler):
    """Why the client got no connection: it says so in its log, and its error leaves it out."""

    why = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Of each try."""
        if str(record.msg).startswith("Unable connect to") and isinstance(record.args, tuple):
            self.why = str(record.args[-1])


_overheard = _Overheard(logging.ERROR)
logging.getLogger("aiokafka").addHandler(_overheard)


class KafkaUnavailable(WeirError):
    """The broker does not answer; it may later."""

    reason, title, status = Reason.UNAVAILABLE, "Kafka does not answer", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class SendFailed(WeirError):
    """A batch was not acknowledged; its records may or may not be in the topic."""

    reason, title, status = Reason.UNAVAILABLE, "A record could not be published", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class RecordTooLarge(SendFailed):
    """No batch can hold the record, or the broker takes none with it, whenever it is sent; nothing was published."""


class NoSuchPartition(SendFailed):
    """The topic does not have the partition that the record names; nothing was published."""


class OutboxFull(SendFailed):
    """More records wait for the broker than the bound allows; nothing was published."""


def was_refused(error: BaseException) -> bool:
    """Whether a batch will not be written, ever: one that was not acknowledged in time may be."""
    return isinstance(error, KafkaError) and not isinstance(error, KafkaTimeoutError)


def is_text_too_long(error: BaseException) -> bool:
    """Whether the broker takes the offsets of a commit, and not the texts beside them."""
    return isinstance(error, OffsetMetadataTooLargeError | InvalidCommitOffsetSizeError)


def is_unknown_member(error: BaseException) -> bool:
    """Whether a commit failed because the group has no such member: its session is over, or its place is another's."""
    return isinstance(error.__cause__, UnknownMemberIdError)


def is_forbidden(error: BaseException) -> bool:
    """Whether the broker's rules are the reason: it says the same until they are others."""
    return isinstance(error, TopicAuthorizationFailedError | GroupAuthorizationFailedError
                      | ClusterAuthorizationFailedError)


def forbidden(topic: str) -> WeirError:
    """The client keeps on asking for a topic that it may not read, and says nothing."""
    return translate(TopicAuthorizationFailedError(topic), f"reading {topic}")


def translate(error: BaseException, doing: str) -> WeirError:
    """A foreign error as one of ours; `doing` says what was tried, with the address or topic."""
    if isinstance(error, (KafkaConnectionError, NodeNotReadyError, TimeoutError, OSError)):
        why = f": {_overheard.why}" if str(error).startswith("KafkaConnectionError: Unable to bootstrap") else ""
        return KafkaUnavailable(f"{doing}: the broker does not answer ({type(error).__name__}{why}); "
                                "is it up, and is WEIR_KAFKA_BOOTSTRAP its address?")
    to_do = next((text for kind, text in _TO_DO.items() if isinstance(error, kind)), None)
    return SendFailed(f"{doing}: {error}: {to_do}" if to_do else f"{doing}: {type(error).__name__}: {error}")
