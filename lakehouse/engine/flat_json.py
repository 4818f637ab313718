"""A parser of flat JSON objects that Spark gets from us: five times as fast as `from_json`, for records that are plain.

Here: which sessions have it, and how one gets it. Not here: the parser (`engine/java`), making its archive
(`engine.embedded.flat_json_jar`), when it is asked (`transforms.events`). The embedded server has it on its class path,
and any other may: then its settings name the catalog (`CATALOG_CONF`). To a server that does not, each session takes
it along. Without it everything works, more slowly.
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
SOURCES = Path(__file__).with_name("java") / "lakehouse"
JAVA_VERSION = "17"
_CATALOG = "lakehouse_functions"
_NAME = f"spark.sql.catalog.{_CATALOG}"
CATALOG_CONF = {_NAME: "lakehouse.FlatJson"}
"""Settings of a server that has the archive on its class path."""
FUNCTION = f"{_CATALOG}.flat_json"
"""In SQL `FUNCTION(text, cast(null AS struct<…>))`: the struct with its last field empty, or null for other texts."""

_lent: "WeakSet[SparkSession]" = WeakSet()


def is_there(session: "SparkSession") -> bool:
    """Whether SQL of this session may say `FUNCTION`."""
    return session in _lent


def lend(session: "SparkSession") -> None:
    """Let the session have the parser, unless its server neither has it nor takes it."""
    if session.conf.get(_NAME, "") != "" or _taken_along(session):
        _lent.add(session)


def _taken_along(session: "SparkSession") -> bool:
    archive = archive_path(load_settings().cache_dir)
    if not archive.is_file():
        _LOGGER.info("%s is not there: records are parsed by from_json. Make it: lakehouse setup", archive.name)
        return False
    # A server may refuse archives, have another Spark, or run us where nothing but queries is allowed.
    try:
        session.addArtifacts(str(archive))
        set_all(session, CATALOG_CONF)
        asked = f"""SELECT {FUNCTION}('{{"n":1}}', cast(NULL AS struct<n: int>)).n AS n"""
        parsed = session.sql(asked).collect()
    except Exception as error:  # noqa: BLE001 - whatever it is, it works without
        _LOGGER.info("the server does not take %s: records are parsed by from_json (%s)", archive.name, error)
        return False
    return [row["n"] for row in parsed] == [1]


def archive_path(cache_dir: Path) -> Path:
    """Where the archive lies in the user's cache; another parser has another name."""
    return cache_dir / "jars" / f"lakehouse-flat-json-{_digest()}.jar"


@cache
def _digest() -> str:
    parts = [JAVA_VERSION.encode(), *(path.read_bytes() for path in sorted(SOURCES.glob("*.java")))]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]
