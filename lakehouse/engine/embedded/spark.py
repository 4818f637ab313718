"""The embedded Spark: one warm Spark Connect server with Delta and the Kafka source, bound to 127.0.0.1.

Here: its options and its command line. Not here: client sessions (lakehouse.engine.spark), process watching.
"""

import importlib.util
import os
import secrets
import sys
from pathlib import Path

from lakehouse.engine import java_archive, profiles
from lakehouse.engine.embedded import compiling, jars
from lakehouse.engine.embedded.class_archive import ClassArchive, stop_seconds
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.engine.embedded.java import SPARK_MODULE_OPTIONS, Java
from lakehouse.engine.embedded.kafka import LOG4J
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.engine.spark import TOKEN_VARIABLE
from lakehouse.settings import Settings

NAME = "spark"
TITLE = "Spark 4.0"
# As Spark's own server, but it leaves to the settings whether sessions share compiled code.
MAIN_CLASS = "lakehouse.server.ConnectServer"
MAX_MESSAGE_BYTES = 128 * 1024 * 1024
# A broken Avro record may claim a text of 2 GB. Avro would try to find the memory, and fail the batch over it for ever.
AVRO_LIMITS = [
    f"-Dorg.apache.avro.limits.{kind}.maxLength={16 * 1024 * 1024}" for kind in ("string", "bytes", "collectionItems")
]

# Warnings that say nothing about our tables: every stack prints them at each start.
QUIET = """\
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.utils.name = org.apache.spark.util.Utils
logger.utils.level = error
logger.kafkaconf.name = org.apache.spark.sql.kafka010
logger.kafkaconf.level = error
# A client that closes its session releases its last answer afterwards, which Spark reports as an error.
logger.rpc.name = org.apache.spark.sql.connect.utils.ErrorUtils
logger.rpc.filter.closed.type = RegexFilter
logger.rpc.filter.closed.regex = .*during: releaseExecute.*
logger.rpc.filter.closed.onMatch = DENY
logger.rpc.filter.closed.onMismatch = NEUTRAL
logger.sparkconf.name = org.apache.spark.SparkConf
logger.sparkconf.level = error
logger.window.name = org.apache.spark.sql.execution.window
logger.window.level = error
"""


def prepare(settings: Settings, java: Java, port: int) -> ServiceSpec:
    """Write the log configuration and return the service."""
    home = settings.home / NAME
    log = settings.home / "logs" / "spark.log"
    for folder in (home / "local", home / "warehouse", home / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(home / "log4j2.properties", LOG4J.format(log=log, more=QUIET))
    compiling.build(settings.cache_dir, java, spark_jars())
    classes = class_path(settings)
    token = _token(home)
    event_log: dict[str, str] = {}
    if settings.spark_event_log:
        (home / "events").mkdir(exist_ok=True)
        event_log = profiles.event_log_conf(home / "events")
    # Rows live short: half of the heap for the young, in large pages where the system has them (an eighth faster).
    # The code that judges a row is one method; beyond 8,000 bytes, some thirty rules, Java would only interpret it.
    module_options = [
        "-XX:-DontCompileHugeMethods",
        "-XX:+UseParallelGC",
        "-XX:NewRatio=1",
        "-XX:+UseTransparentHugePages",
        *SPARK_MODULE_OPTIONS,
    ]
    own_options = settings.java_options.split()
    archive = ClassArchive(
        settings.cache_dir,
        java,
        classes,
        module_options,
        owner=str(settings.home),
        # Somebody's experiment, or a test that must end at once, is no model for later starts.
        may_record=not own_options,
    )
    archive_options = archive.java_options()
    return ServiceSpec(
        name=NAME,
        title=TITLE,
        command=[
            str(java.path),
            f"-Xmx{heap(settings)}",
            # Spark compiles code for every query. With the JVM's own limits (48 MB with one compiler) a full collection
            # came every two seconds, only to make room for code and classes.
            "-XX:ReservedCodeCacheSize=512m",
            "-XX:MetaspaceSize=256m",
            *archive_options,
            *module_options,
            *own_options,
            f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
            f"-Djava.io.tmpdir={home / 'tmp'}",
            "-Duser.timezone=UTC",
            *AVRO_LIMITS,
            *(f"-D{key}={value}" for key, value in server_conf(home, port, settings.spark_profile).items()),
            *(f"-D{key}={value}" for key, value in ui_conf(settings.spark_ui_port).items()),
            *(f"-D{key}={value}" for key, value in event_log.items()),
            "-cp",
            classes,
            MAIN_CLASS,
        ],
        cwd=str(home),
        env={
            "SPARK_HOME": str(pyspark_folder()),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": LOOPBACK,
            "TZ": "UTC",
            **({TOKEN_VARIABLE: token} if token else {}),
        },
        port=port,
        url=f"sc://{LOOPBACK}:{port}{f'/;token={token}' if token else ''}",
        log=str(log),
        output=str(settings.home / "logs" / "spark.out"),
        endpoint="SPARK_REMOTE",
        stop_seconds=stop_seconds(archive_options, 10),
    )


def _token(home: Path) -> str:
    """The token that the server asks of its clients; whoever may run queries on it acts as this user.

    Kept in a file of this user alone, the same at each start. Empty when the user has set one: then every process takes
    it from the environment, and it is written nowhere.
    """
    if os.environ.get(TOKEN_VARIABLE):
        return ""
    kept = home / "token"
    if not kept.is_file():
        write_atomically(kept, secrets.token_hex(32) + "\n", mode=0o600)
    return kept.read_text(encoding="utf-8").strip()


def heap(settings: Settings) -> str:
    """The server is its own driver: under the profile `cluster` its heap is a driver's, unless another one is set."""
    is_said = "spark_memory" in settings.model_fields_set
    if settings.spark_profile == "cluster" and not is_said:
        return profiles.CLUSTER_CONF["spark.driver.memory"]
    return settings.spark_memory


def server_conf(home: Path, port: int, profile: profiles.Profile = "local") -> dict[str, str]:
    """The server's own settings, and those of the profile as its defaults."""
    return {
        "spark.master": "local[*]",
        "spark.app.name": "lakehouse",
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.ui.showConsoleProgress": "false",
        "spark.connect.grpc.binding.address": LOOPBACK,
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.grpc.maxInboundMessageSize": str(MAX_MESSAGE_BYTES),
        "spark.local.dir": str(home / "local"),
        "spark.sql.warehouse.dir": (home / "warehouse").as_uri(),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # Plans are logged and shown; the options of a Kafka source carry passwords and keys.
        "spark.sql.redaction.options.regex": "(?i)secret|password|token|access[.]?key|jaas|keystore",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        # Hadoop's own starts a `chmod` process for each file and folder that it makes: a hundred for a step of silver.
        "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
        # Looks and renames within one lock, and without the sixteen `readlink` processes that Delta's default starts
        # for each commit on a local disk.
        "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
        # A Kafka consumer that waits for its next micro-batch holds what it fetched ahead, megabytes per
        # partition. With Spark's five minutes, those of ended drains filled the heap.
        "spark.kafka.consumer.cache.timeout": "20s",
        "spark.kafka.consumer.cache.evictorThreadRunInterval": "5s",
        "spark.kafka.consumer.fetchedData.cache.timeout": "20s",
        "spark.kafka.consumer.fetchedData.cache.evictorThreadRunInterval": "5s",
        # Each run has a session of its own. With a loader of classes of its own, too, which is what archives that a
        # session brings are kept apart by, each run's queries were compiled anew.
        "spark.sql.artifact.isolation.enabled": "false",
        "spark.sql.codegen.cache.maxEntries": "500",
        **java_archive.CATALOG_CONF,
        **profiles.STREAMING_CONF,
        **profiles.server_conf(profile),
    }


def ui_conf(port: int) -> dict[str, str]:
    """The web UI's settings: it costs time at the start and memory, and few look at it. Port 0: none."""
    return {"spark.ui.enabled": "true", "spark.ui.port": str(port)} if port else {"spark.ui.enabled": "false"}


def class_path(settings: Settings) -> str:
    """Our locked jars, then all of pyspark's.

    Each file is named, not `jars/*`: a class-data archive fits only an explicit list.
    """
    ours = [*jars.paths(settings.cache_dir, NAME), java_archive.archive_path(settings.cache_dir)]
    sparks = sorted(spark_jars().glob("*.jar"))
    return os.pathsep.join(str(path) for path in [*ours, *sparks])


def spark_jars() -> Path:
    """The folder of pyspark's own archives."""
    return pyspark_folder() / "jars"


def pyspark_folder() -> Path:
    """Where pyspark is installed, found without importing it."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        message = "pyspark is not installed"
        raise ModuleNotFoundError(message)
    return Path(found.origin).parent
