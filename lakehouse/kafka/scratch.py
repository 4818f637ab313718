"""Topics that a test of ours made for itself, and their removal. Here: only names with our prefix. Not here: others."""

import uuid

from lakehouse.errors import UsageError
from lakehouse.kafka.client import admin_client, translate
from lakehouse.settings import Settings

PREFIX = "loadtest-"


def scratch_name() -> str:
    """A topic name that nobody else uses."""
    return f"{PREFIX}{uuid.uuid4().hex[:12]}"


def delete_scratch(settings: Settings, names: list[str]) -> None:
    """Delete topics that `scratch_name` named; missing ones are no trouble.

    Raises:
        UsageError: for any other topic; nothing is deleted then.
        BrokerUnreachableError: no broker answers.
    """
    foreign = [name for name in names if not name.startswith(PREFIX)]
    if foreign:
        raise UsageError(f"{foreign[0]} is no scratch topic; nothing was deleted.")
    from confluent_kafka import KafkaError, KafkaException

    # Held by a name: the answers would be lost with the client.
    admin = admin_client(settings)
    for name, future in admin.delete_topics(names, operation_timeout=10).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise translate(error, settings, doing=f"deleting topic {name}", topic=name) from error
