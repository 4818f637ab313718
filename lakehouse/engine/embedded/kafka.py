"""The embedded Kafka broker: one KRaft node that is broker and controller, bound to 127.0.0.1.

Here: its configuration, the one-time format of its storage, its command line, its health question.
Not here: starting and watching the process (supervisor), topics (lakehouse.kafka).
"""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from lakehouse.engine.embedded import jars
from lakehouse.engine.embedded.class_archive import ClassArchive, stop_seconds
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.engine.embedded.java import Java
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.errors import BrokerUnreachableError, SetupError
from lakehouse.settings import Settings

NAME = "kafka"
TITLE = "Kafka 4.3"
FORMAT_TIMEOUT_SECONDS = 60
# A broker moves bytes that it does not look into: what the second compiler would make faster is not worth its work.
_OPTIONS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

LOG4J = """\
status = error
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}}{{UTC}} %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
{more}"""


def prepare(settings: Settings, java: Java, port: int, controller_port: int) -> ServiceSpec:
    """Write the configuration, format the storage when it is new, and return the service.

    Raises:
        SetupError: the storage could not be formatted.
    """
    home = settings.home / NAME
    data = home / "data"
    log = settings.home / "logs" / "kafka.log"
    home.mkdir(parents=True, exist_ok=True)
    write_atomically(home / "log4j2.properties", LOG4J.format(log=log, more=""))
    config = home / "server.properties"
    write_atomically(config, server_properties(data, port, controller_port))
    classes = ":".join(str(path) for path in jars.paths(settings.cache_dir, NAME))
    own_options = settings.java_options.split()
    archive = ClassArchive(
        settings.cache_dir, java, classes, _OPTIONS, owner=str(settings.home), may_record=not own_options
    )
    options = [
        f"-Xmx{settings.kafka_memory}",
        *_OPTIONS,
        *own_options,
        f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
        f"-Dkafka.logs.dir={log.parent}",
        "-cp",
        classes,
    ]
    if not (data / "meta.properties").is_file():
        _format([str(java.path), *archive.java_options(is_service=False), *options], config)
    archive_options = archive.java_options()
    return ServiceSpec(
        name=NAME,
        title=TITLE,
        command=[str(java.path), *archive_options, *options, "kafka.Kafka", str(config)],
        cwd=str(home),
        port=port,
        url=f"{LOOPBACK}:{port}",
        log=str(log),
        output=str(settings.home / "logs" / "kafka.out"),
        endpoint="KAFKA_BOOTSTRAP_SERVERS",
        stop_seconds=stop_seconds(archive_options, 15),
    )


def server_properties(data: Path, port: int, controller_port: int) -> str:
    """The broker's configuration file."""
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        # A typing mistake in a topic's name must fail, not make a topic with default settings.
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed may not serve again until its controller has given up on the one before.
        "broker.session.timeout.ms": "4500",
        "broker.heartbeat.interval.ms": "1000",
        # Every retained byte sits on a laptop's disk: small segments let retention work soon.
        "log.segment.bytes": str(256 * 1024 * 1024),
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "controlled.shutdown.max.retries": "1",
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _format(base: list[str], config: Path) -> None:
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # StorageTool reads an argument that starts with a dash as an option.
    cluster_id = f"L{cluster_id[1:]}"
    command = [*base, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(config)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"Formatting Kafka's storage took more than {FORMAT_TIMEOUT_SECONDS} s.", fix="Try again: lakehouse up"
        ) from error
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise SetupError(
            f"Kafka's storage below {config.parent} could not be formatted.",
            why=" ".join(said),
            fix="Read the reason; then: lakehouse up",
        )


def ask(bootstrap: str, timeout_seconds: float) -> str:
    """Ask the broker for its metadata; return the cluster's id.

    Raises:
        BrokerUnreachableError: no answer within the time.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "socket.timeout.ms": int(timeout_seconds * 1000),
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    try:
        metadata = client.list_topics(timeout=timeout_seconds)
    except KafkaException as error:
        raise BrokerUnreachableError(
            f"No Kafka broker answers at {bootstrap}.", why=str(error.args[0].str()), fix="lakehouse up"
        ) from error
    return str(metadata.cluster_id)
