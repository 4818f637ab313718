"""The bucketed orders: the rows of silver, one file per bucket, joined and added up without a shuffle."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.contracts.window import WHOLE, window_of
from lakehouse.engine.spark import connect
from lakehouse.errors import SourceMissingError, UsageError
from lakehouse.lake.batch.bucketed import declare, save_as_table
from lakehouse.lake.batch.run import StepContext, run_pipeline
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse_tests.streams import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
TABLE = "bucketed_orders"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = ["id", "customer_id", "amount", "status"]


def orders(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "customer_id": number * 7 % 41,
            "amount": Decimal(number) / 4,
            "status": "cancelled" if number % 10 == 0 else "paid",
            "created_at": NOON + timedelta(minutes=number),
        }
        for number in range(1, count + 1)
    ]


def write_silver(settings: Settings, rows: list[dict[str, Any]]) -> None:
    """Silver of these orders, and what it remembers of one that was deleted."""
    import pyarrow as pa
    from deltalake import write_deltalake

    types = {"id": pa.int64(), "customer_id": pa.int64(), "amount": pa.decimal128(12, 2), "status": pa.string()}
    schema = pa.schema({**types, "created_at": pa.timestamp("us", tz="UTC"), "_deleted": pa.bool_()})
    held = [*({**row, "_deleted": False} for row in rows), {"id": 99_999, "_deleted": True}]
    path = LakePaths.of(settings).silver("orders")
    write_deltalake(path, pa.Table.from_pylist(held, schema=schema), mode="overwrite")


def test_orders_in_buckets_are_those_of_silver_and_need_no_shuffle(settings: Settings) -> None:
    pipeline, few = load_pipeline("orders_bucketed"), orders(300)
    write_silver(settings, few)
    reports = {report.step: report for report in run_pipeline(pipeline, WHOLE, settings)}
    assert reports[TABLE].details["rows"] == len(few)

    counted = Counter(row["customer_id"] for row in few if row["status"] != "cancelled")
    per_customer = rows_of(LakePaths.of(settings).batch("orders_bucketed", "customer_orders"), "customer_id, orders")
    assert dict(per_customer) == counted

    spark = connect(settings.spark_remote)
    try:
        # As on a server that was started afterwards.
        spark.sql(f"DROP TABLE {TABLE}").collect()
        declare(spark, settings, TABLE)
        held = spark.table(TABLE)
        assert sorted(map(tuple, held.select(*COLUMNS).collect())) == [
            tuple(row[name] for name in COLUMNS) for row in few
        ]
        about = {row["col_name"]: row["data_type"] for row in spark.sql(f"DESCRIBE EXTENDED {TABLE}").collect()}
        assert (about["Num Buckets"], about["Bucket Columns"], about["Sort Columns"]) == (
            "100", "[`customer_id`]", "[`customer_id`]",
        )  # fmt: skip
        # One file for each bucket that has a customer, never one of each task.
        files = reports[TABLE].details["files"]
        assert isinstance(files, int)
        assert files <= len({row["customer_id"] for row in few})
        spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
        plain = spark.read.format("delta").load(LakePaths.of(settings).silver("orders"))
        assert "Exchange" in plain.join(plain, "customer_id").groupBy("customer_id").count()._explain_string()
        assert "Exchange" not in held.join(held, "customer_id").groupBy("customer_id").count()._explain_string()
    finally:
        spark.stop()


def in_buckets(**options: Any) -> PipelineContract:
    """The pipeline with other options of the table; its hundred buckets are a hundred tasks."""
    pipeline = load_pipeline("orders_bucketed").model_dump()
    pipeline["deliver"][0]["options"] |= options
    return PipelineContract.model_validate(pipeline)


def test_each_run_has_the_rows_of_now_and_the_run_before_stays_for_its_readers(settings: Settings) -> None:
    pipeline, home = in_buckets(buckets=3), LakePaths.of(settings).bucketed(TABLE)
    for count in (20, 5, 30):
        write_silver(settings, orders(count))
        reports = {report.step: report for report in run_pipeline(pipeline, WHOLE, settings)}
        assert reports[TABLE].details["rows"] == count
    runs = sorted(home.glob("run=*"))
    assert len(runs) == 2
    assert str(runs[-1]) == reports[TABLE].details["path"]


@pytest.mark.parametrize("wrong", [{"table": "../escape"}, {"by": "no_column"}, {"buckets": 0}], ids=str)
def test_what_names_no_table_is_refused_before_anything_is_written(
    settings: Settings, spark: "SparkSession", wrong: dict[str, Any]
) -> None:
    pipeline = in_buckets(**wrong)
    window = window_of(pipeline.cadence, WHOLE, pipeline.start)
    options = pipeline.deliver[0].options
    context = StepContext(pipeline, window, ["orders"], options, settings, lambda _: spark.range(3).toDF("customer_id"))
    with pytest.raises(UsageError, match="can be made"):
        save_as_table(context)
    assert not LakePaths.of(settings).bucketed(TABLE).parent.exists()


def test_a_table_that_no_pipeline_has_written_is_named(settings: Settings, spark: "SparkSession") -> None:
    with pytest.raises(SourceMissingError, match="no bucketed table bucketed_orders"):
        declare(spark, settings, TABLE)
