"""What a commit that Spark makes says of itself, for those who read the log. Here: statements, which have no option."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONF = "spark.databricks.delta.commitInfo.userMetadata"


@contextmanager
def commits_say(spark: "SparkSession", metadata: Mapping[str, Any]) -> Iterator[None]:
    """Commits that statements of this session make within the block carry this metadata."""
    spark.conf.set(_CONF, json.dumps(metadata))
    try:
        yield
    finally:
        spark.conf.unset(_CONF)
