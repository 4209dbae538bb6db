"""What the broker's rules say of a group and its topics, asked before a client begins that would keep it to itself.

In:    a group, the topics that it is to read.
Out:   nothing, or the error that names what is missing.
Never: a start held up by what cannot be learned now: the client meets that itself.
"""

import logging
from collections.abc import Sequence

from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, NotAuthorized, forbidden, is_forbidden, translate
from shared.names import actions
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)


async def look(settings: KafkaSettings, group: str, topics: Sequence[str]) -> None:
    """Raises SendFailed where this process may not be in the group, or knows nothing of a topic."""
    admin = connect.admin(settings)
    try:
        await admin.start()
        await admin.list_consumer_group_offsets(group)
        described = await admin.describe_topics(list(topics))
    except CLIENT_ERRORS as exc:
        error = translate(exc, f"joining group {group}")
        if is_forbidden(exc):
            raise error from exc
        log.warning("%s", error, extra={"action": actions.KAFKA_RETRY})
        return
    finally:
        await admin.close()
    for found in described:
        if found["error_code"] == NotAuthorized.errno:
            raise forbidden(found["topic"])
