"""Dimensions that the speed layer joins its events with, as the batch layer knows them.

Here: reading one at its newest version. Not here: the join (`transforms.joins`).
"""

from typing import TYPE_CHECKING

from lakehouse.lake.batch.daily_views import VIEW
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What a user is that the batch layer does not know yet.
UNKNOWN = {"segment": "'new'"}


def user_segments(spark: "SparkSession", paths: LakePaths) -> "DataFrame":
    """One row per user of the batch view: `customer` who has bought something, `visitor` who has not."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    view = paths.batch_view(VIEW)
    version = current_version(view)
    if version is None:
        return spark.createDataFrame([], "user_id string, segment string")
    users = spark.read.format("delta").option("versionAsOf", version).load(view)
    bought = F.expr("CASE WHEN bool_or(event_type = 'purchase') THEN 'customer' ELSE 'visitor' END")
    return users.groupBy("user_id").agg(bought.alias("segment"))
