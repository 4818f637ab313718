"""What Spark gets from us in Java: a reader of Kafka, parsers of plain records and patterns, a writer of files.

Here: where the archive lies, which sessions have it, how one gets it, the names under which SQL, readers and writers
ask for what is in it. Not here: its sources (`engine/java`), making it (`engine.embedded.compiling`), when it is asked
(`lake.records`, `transforms`, `lake.log.staging`). The embedded server has it on its class path, and any other may:
then its settings name the catalog (`CATALOG_CONF`). To a server that does not, each session takes it along. Without it
everything works, more slowly.
"""

import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from lakehouse.engine.spark_client import set_all
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOGGER = logging.getLogger(__name__)
SOURCES = Path(__file__).with_name("java")
JAVA_VERSION = "17"
_CATALOG = "lakehouse_functions"
_NAME = f"spark.sql.catalog.{_CATALOG}"
CATALOG_CONF = {_NAME: "lakehouse.Functions"}
"""Settings of a server that has the archive on its class path."""
FLAT_JSON = f"{_CATALOG}.flat_json"
"""In SQL `FLAT_JSON(text, cast(null AS struct<…>))`: the struct with its last field empty, or null for other texts."""
MATCHES = f"{_CATALOG}.matches"
"""In SQL `MATCHES(text, 'expression')`: whether `text rlike 'expression'` is true."""
KAFKA = "lakehouse.kafka.KafkaRanges"
"""The format of a `DataFrameReader`: records of a topic between offsets, see the class for its options."""
PARQUET = "lakehouse.parquet.ParquetByColumns"
"""The format of a `DataFrameWriter`: files as of `parquet`, in half the time."""
PARTITIONS = "lakehouse.partitions"
"""Its option for `partitionBy`: names of columns, all texts, with commas."""

_lent: "WeakSet[SparkSession]" = WeakSet()


def is_there(session: "SparkSession") -> bool:
    """Whether this session may ask for what is in the archive."""
    return session in _lent


def lend(session: "SparkSession") -> None:
    """Let the session have the archive, unless its server neither has it nor takes it."""
    if session.conf.get(_NAME, "") != "" or _taken_along(session):
        _lent.add(session)


def _taken_along(session: "SparkSession") -> bool:
    archive = archive_path(load_settings().cache_dir)
    if not archive.is_file():
        _LOGGER.info("%s is not there, so Spark does by itself. Make it: lakehouse setup", archive.name)
        return False
    # A server may refuse archives, have another Spark, or run us where nothing but queries is allowed.
    try:
        session.addArtifacts(str(archive))
        set_all(session, CATALOG_CONF)
        asked = f"""SELECT {FLAT_JSON}('{{"n":1}}', cast(NULL AS struct<n: int>)).n AS n"""
        parsed = session.sql(asked).collect()
    except Exception as error:  # noqa: BLE001 - whatever it is, it works without
        _LOGGER.info("the server does not take %s and does by itself (%s)", archive.name, error)
        return False
    return [row["n"] for row in parsed] == [1]


def archive_path(cache_dir: Path) -> Path:
    """Where the archive lies in the user's cache; one of other sources has another name."""
    return cache_dir / "jars" / f"lakehouse-{_digest()}.jar"


@cache
def _digest() -> str:
    parts = [JAVA_VERSION.encode(), *(path.read_bytes() for path in sorted(SOURCES.rglob("*.java")))]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]
