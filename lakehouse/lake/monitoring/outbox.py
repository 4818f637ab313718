"""Our own topics: quality alerts and system metrics, sent with ids that repeat when the same thing is sent again.

Here: sending a list of JSON objects and waiting for the broker. Not here: what they say
(`lake.monitoring.quality_alerts`, `ops.samples`), reading them back: they are streams like any other.
"""

import json
from collections.abc import Sequence
from typing import Any

from lakehouse.kafka.client import producer_config, require_reachable
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.settings import Settings
from lakehouse.sources.producer import EventSender

METRICS_STREAM = "system_metrics"
ALERTS_STREAM = "data_quality_alerts"


def send(stream: str, key: str, events: Sequence[dict[str, Any]], settings: Settings) -> int:
    """Send events to a stream's topic, made when it is missing; returns how many the broker acknowledged.

    Args:
        stream: Name of the stream; its contract names the topic.
        key: The event's field that is the message key.
        events: What to send. Sending the same again is harmless: the stream keeps one row per id.
        settings: The brokers.

    Raises:
        BrokerUnreachableError: no broker answers, or some events were not acknowledged.
    """
    if not events:
        return 0
    from lakehouse.contracts.load import load_stream

    contract = load_stream(stream)
    require_reachable(settings)
    apply_topics(settings, desired_topics([contract]))
    sender = EventSender(settings, contract.topic.name, producer_config(settings))
    sender.send([(str(event[key]), json.dumps(event, ensure_ascii=False).encode()) for event in events])
    sender.settle()
    sender.raise_if_failed(f"to {contract.topic.name}")
    return sender.sent
