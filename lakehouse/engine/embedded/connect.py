"""The embedded Kafka Connect: one distributed worker with Debezium's PostgreSQL connector, bound to 127.0.0.1.

Here: its configuration, its plugin folder, its command line. Not here: connectors (`kafka.connect`), the process.

Distributed although it is alone: connectors that are deployed over REST then live in the broker's topics and are there
again after a restart, also a paused one. A standalone worker would forget them.
"""

import shutil
from pathlib import Path

from lakehouse.engine.embedded import connect_avro, connect_jars, jars
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.engine.embedded.java import Java
from lakehouse.engine.embedded.kafka import LOG4J
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.settings import Settings

NAME = "connect"
TITLE = "Kafka Connect 4.3"
PASSWORD_VARIABLE = "POSTGRES_CDC_PASSWORD"  # noqa: S105 - the name of a variable


def prepare(
    settings: Settings, java: Java, port: int, bootstrap: str, password: str, *, avro: bool = False
) -> ServiceSpec:
    """Write the configuration and the plugin folder, and return the service; the jars are there.

    Args:
        settings: The state folder and the cache.
        java: What runs it.
        port: Of the REST interface.
        bootstrap: The brokers.
        password: Of the role that reads the source's log.
        avro: Whether connectors may write Avro; the jars of its converter are there, too.
    """
    home = settings.home / NAME
    plugins = home / "plugins"
    _fill_plugin_folder(plugins / "debezium-postgres", settings, connect_jars.DEBEZIUM, connect_jars.LOCK_FILE)
    if avro:
        _fill_plugin_folder(plugins / "avro-converter", settings, connect_avro.AVRO, connect_avro.LOCK_FILE)
        connect_avro.write_manifest(plugins / "avro-converter")
    log = settings.home / "logs" / "connect.log"
    write_atomically(home / "log4j2.properties", LOG4J.format(log=log, more=""))
    config = home / "connect.properties"
    write_atomically(config, worker_properties(bootstrap, port, plugins))
    return ServiceSpec(
        name=NAME,
        title=TITLE,
        command=[
            str(java.path),
            "-Xmx192m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
            "-cp",
            ":".join(
                str(path)
                for path in jars.paths(settings.cache_dir, connect_jars.CONNECT, lock_file=connect_jars.LOCK_FILE)
            ),
            "org.apache.kafka.connect.cli.ConnectDistributed",
            str(config),
        ],
        cwd=str(home),
        env={PASSWORD_VARIABLE: password},
        port=port,
        url=f"http://{LOOPBACK}:{port}",
        log=str(log),
        output=str(settings.home / "logs" / "connect.out"),
        endpoint="KAFKA_CONNECT_URL",
        stop_seconds=15,
    )


def ask(url: str, timeout_seconds: float) -> bool:
    """Does the worker answer, and has it joined its group? Before that it takes no connectors."""
    import httpx

    try:
        return httpx.get(f"{url}/connectors", timeout=timeout_seconds).is_success
    except httpx.HTTPError:
        return False


def worker_properties(bootstrap: str, port: int, plugins: Path) -> str:
    """The worker's configuration file."""
    converter = "org.apache.kafka.connect.json.JsonConverter"
    values = {
        "bootstrap.servers": bootstrap,
        "group.id": "lakehouse-connect",
        "config.storage.topic": "_connect_configs",
        "offset.storage.topic": "_connect_offsets",
        "status.storage.topic": "_connect_status",
        "config.storage.replication.factor": "1",
        "offset.storage.replication.factor": "1",
        "status.storage.replication.factor": "1",
        "offset.storage.partitions": "4",
        "status.storage.partitions": "1",
        "key.converter": converter,
        "key.converter.schemas.enable": "false",
        "value.converter": converter,
        "value.converter.schemas.enable": "false",
        # What a killed worker repeats: changes since it last noted how far it is.
        "offset.flush.interval.ms": "10000",
        "plugin.path": str(plugins),
        # Reads the plugins' own lists instead of every class: half the start, half the memory.
        "plugin.discovery": "service_load",
        "listeners": f"http://{LOOPBACK}:{port}",
        "rest.advertised.host.name": LOOPBACK,
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        # A connector's configuration may name these variables, no others.
        "config.providers.env.param.allowlist.pattern": "^(POSTGRES_CDC|SNOWFLAKE)_.*",
        # A killed worker's place is free soon, and nobody else is waited for.
        "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "2000",
        "scheduled.rebalance.max.delay.ms": "0",
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _fill_plugin_folder(folder: Path, settings: Settings, group: str, lock_file: Path) -> None:
    """Exactly the locked jars: what a folder below `plugin.path` holds, Connect loads."""
    wanted = {path.name: path for path in jars.paths(settings.cache_dir, group, lock_file=lock_file)}
    folder.mkdir(parents=True, exist_ok=True)
    for present in folder.iterdir():
        if present.name not in wanted:
            present.unlink()
    for name, path in wanted.items():
        copy = folder / name
        if not copy.is_file() or copy.stat().st_size != path.stat().st_size:
            shutil.copyfile(path, copy)
