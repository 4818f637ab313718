"""Rows fetched as an Arrow table: what `toArrow` gives, for one question to the server instead of two."""

import pytest
from pyspark.sql import SparkSession

from lakehouse.engine.spark_client import fetched

EVERY_TYPE = """
SELECT id, CAST(id AS INT) AS i, CAST(id AS STRING) AS s, CAST(id AS DECIMAL(22,4)) AS d, id / 3 AS f, id = 1 AS b,
       DATE '2026-11-20' AS day, TIMESTAMP_MICROS(id * 1234567) AS at, CAST(at AS TIMESTAMP_NTZ) AS local,
       array(s, NULL) AS many, map(s, d) AS pairs, named_struct('a', i, 'b', at) AS both, X'00ff' AS raw,
       CAST(NULL AS STRING) AS missing
FROM {rows}
"""


@pytest.mark.parametrize("rows", ["range(3)", "range(0)"])
def test_the_same_table_without_asking_for_its_columns_first(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    expected = spark.sql(EVERY_TYPE.format(rows=rows)).toArrow()

    def unwanted(*_: object, **__: object) -> None:
        pytest.fail("the plan is analysed once more, which takes as long as a small step")

    frame = spark.sql(EVERY_TYPE.format(rows=rows))
    monkeypatch.setattr(spark.client, "_analyze", unwanted)
    table = fetched(frame)
    assert table.schema == expected.schema
    assert table.equals(expected)
