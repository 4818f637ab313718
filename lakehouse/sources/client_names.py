"""What librdkafka calls the properties of the Java client and of kafka-python, and which it does not have.

Here: names. Not here: the files that they stand in (`sources.config`, `sources.properties`).
"""

from typing import Any

# Properties of the Java client that librdkafka does not have and that change nothing for this producer.
JAVA_ONLY = {
    "key.serializer",
    "value.serializer",
    "interceptor.classes",
    "max.block.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "partitioner.class",
    "partitioner.ignore.keys",
    "receive.buffer.bytes",
    "send.buffer.bytes",
    # Stores in Java's own format; librdkafka trusts the system's authorities, or KAFKA_SSL_CA.
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    # A consumer's, in files that both sides share.
    "key.deserializer",
    "value.deserializer",
    "group.id",
    "auto.offset.reset",
    "enable.auto.commit",
    "auto.commit.interval.ms",
    "max.poll.records",
    "session.timeout.ms",
}
_BYTES_PER_KIB = 1024


def translate_properties(properties: dict[str, Any]) -> tuple[dict[str, object], list[str]]:
    """The Java or kafka-python client's property names as librdkafka knows them, and the ones left out."""
    known: dict[str, object] = {}
    dropped = []
    for given, value in properties.items():
        name = given.replace("_", ".")
        if name in JAVA_ONLY:
            dropped.append(given)
        elif name == "buffer.memory":
            known["queue.buffering.max.kbytes"] = max(1, int(value) // _BYTES_PER_KIB)
        elif name == "max.request.size":
            known["message.max.bytes"] = value
        else:
            known[name] = value
    return known, dropped
