"""Staged rows are the same whether Spark writes them or this process fetches and writes them."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.lake.merge.profile import profile_of
from lakehouse.lake.merge.staged import REJECTED, VALID, Staged, stage, staging
from lakehouse.lake.quarantine import rows_of
from lakehouse.lake.schema.tables import BRONZE_COLUMNS
from lakehouse.transforms.events import judge
from lakehouse.transforms.rejects import as_quarantine
from lakehouse_tests.streams import encode, sale

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
VALUES = [
    encode(sale(1, at=NOW)),
    encode(sale(2, at=NOW) | {"payment_method": "Barter", "loyalty": {"tier": 2}}),
    encode(sale(3, at=NOW) | {"category": "Weapons", "quantity": "three", "payment_method": "Barter"}),
    b"\xff\xfe",
    None,
]


def everything(staged: Staged, fate: str) -> tuple[list[tuple[str, str]], set[tuple[Any, ...]]]:
    """Columns with their types, and rows with the values of their partition."""
    files = ", ".join(literal(str(file)) for file in staged.files(fate))
    with lasting_delta_connection() as connection:
        answer = connection.execute(
            f"from read_parquet([{files}], hive_partitioning = true, hive_types_autocast = false) order by _offset"
        )
        columns = [(column[0], str(column[1])) for column in answer.description or []]
        return columns, {tuple(map(str, row)) for row in answer.fetchall()}


def test_rows_types_and_verdicts_are_the_same(spark: "SparkSession", tmp_path: Path) -> None:
    contract = load_stream("sales")
    raw = [
        ("topic", 0, offset, NOW, 1, None, value, None, 7, NOW, "kafka://t", date(2026, 11, 20))
        for offset, value in enumerate(VALUES)
    ]
    judged = judge(spark.createDataFrame(raw, BRONZE_COLUMNS), contract, ("topic",))
    found = []
    for fetch in (False, True):
        table = tmp_path / str(fetch)
        table.mkdir()
        with staging(contract, str(table)) as staged:
            stage(judged, staged, few=True, fetch=fetch)
            rows = {fate: everything(staged, fate) for fate in (VALID, REJECTED)}
            valid = staged.valid(spark).orderBy("_offset").collect()
            partitions = sorted(str(staged.partition_of(file)) for file in staged.files(VALID))
            found.append((rows, valid, partitions, profile_of(staged), quarantined(staged)))
    by_spark, fetched = found
    assert fetched == by_spark
    profile, rejects = fetched[3:]
    assert (profile.valid, profile.rejected) == (2, 3)
    of_three = dict.fromkeys(("quantity_type", "quantity_positive", "total_is_gross", "known_category"), 1)
    assert profile.rejected_by_rule == {**of_three, "not_utf8": 1, "no_value": 1}
    assert profile.warned_by_rule == {"known_payment_method": 1}, "of rows that are kept"
    assert profile.failed_by_rule == {}
    wanted = as_quarantine(judged.where("_broken != ''"), contract).orderBy("offset").toArrow()
    assert rejects.equals(wanted.cast(rejects.schema))


def quarantined(staged: Staged) -> "pa.Table":
    """The rows that a commit puts into the quarantine table."""
    with lasting_delta_connection() as connection:
        return connection.execute(f'from ({rows_of(staged)}) order by "offset"').to_arrow_table()
