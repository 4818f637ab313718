"""A window's rows replace its own and nobody else's, whoever writes them: our commit, or Delta's writer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse.contracts.window import Window, window_of
from lakehouse.engine.spark import connect
from lakehouse.errors import SchemaIncompatibleError
from lakehouse.lake.batch.tables import overwrite_partition
from lakehouse.lake.ledger import commits
from lakehouse.settings import Settings
from lakehouse_tests.streams import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def hour(number: int) -> Window:
    return window_of("hourly", f"2026-01-01-{number:02d}:00", date(2026, 1, 1))


@pytest.fixture
def session(settings: Settings) -> Iterator["SparkSession"]:
    found = connect(settings.spark_remote)
    yield found
    found.stop()


def write(session: "SparkSession", query: str, path: str, window: Window, settings: Settings) -> None:
    overwrite_partition(session.sql(query), path, window, {"kind": "batch", "query": query}, settings)


def engines(path: Path) -> list[str]:
    """Who made the commits, oldest first, after the one that made the table."""
    texts = [file.read_text(encoding="utf-8") for file in sorted((path / "_delta_log").glob("*.json"))]
    return ["ours" if '"engineInfo":"lakehouse/' in text else "spark" for text in texts[1:]]


def test_a_window_is_replaced_and_another_stays(settings: Settings, session: "SparkSession", tmp_path: Path) -> None:
    table = str(tmp_path / "t")
    moment = "TIMESTAMP'2026-01-01 05:00:00+00:00'"
    write(session, f"SELECT id AS n, {moment} AS sold_at, 1.5 AS price FROM range(5)", table, hour(5), settings)
    write(session, f"SELECT id AS n, {moment} AS sold_at, 2.5 AS price FROM range(7)", table, hour(6), settings)
    write(session, f"SELECT id AS n, {moment} AS sold_at, 3.5 AS price FROM range(2)", table, hour(5), settings)
    found = sorted(rows_of(table, "partition_key, n, sold_at, cast(price as varchar)"))
    at = datetime(2026, 1, 1, 5, tzinfo=UTC)
    five, six = ("2026-01-01-05:00", "2026-01-01-06:00")
    assert found == [*((five, n, at, "3.5") for n in range(2)), *((six, n, at, "2.5") for n in range(7))]
    by_spark = {
        (row["partition_key"], row["n"], row["sold_at"]) for row in session.read.format("delta").load(table).collect()
    }
    assert len(by_spark) == 9
    assert session.read.format("delta").load(table).where("n = 6 AND partition_key LIKE '%06:00'").count() == 1
    assert engines(tmp_path / "t") == ["ours"] * 3
    assert [commit.metadata.get("kind") for commit in commits(table)] == ["batch"] * 3 + [None]
    write(session, f"SELECT id AS n, {moment} AS sold_at, 3.5 AS price FROM range(0)", table, hour(5), settings)
    assert {key for (key,) in rows_of(table, "partition_key")} == {six}, "a window without rows"


def test_new_columns_and_odd_types_are_taken_and_another_type_is_told(
    settings: Settings, session: "SparkSession", tmp_path: Path
) -> None:
    table, odd = str(tmp_path / "t"), str(tmp_path / "odd")
    write(session, "SELECT id AS n FROM range(3)", table, hour(1), settings)
    write(session, "SELECT id AS n, 'x' AS more FROM range(2)", table, hour(2), settings)
    # Fewer columns than the table has, and those in another order.
    write(session, "SELECT id AS n FROM range(1)", table, hour(3), settings)
    write(session, "SELECT 'y' AS more, id AS n FROM range(1)", table, hour(1), settings)
    assert sorted(rows_of(table, "n, more"), key=str) == [(0, "x"), (0, "y"), (0, None), (1, "x")]
    assert engines(tmp_path / "t") == ["ours", "spark", "ours", "ours"]
    with pytest.raises(SchemaIncompatibleError, match="another type"):
        write(session, "SELECT 'three' AS n", table, hour(1), settings)
    local = "SELECT id AS n, TIMESTAMP_NTZ'2026-01-01 05:00:00' AS sold_at FROM range({})"
    for number, window in ((3, 1), (4, 2), (2, 1)):
        write(session, local.format(number), odd, hour(window), settings)
    assert len(rows_of(odd, "n")) == 6
    assert engines(tmp_path / "odd") == ["spark"] * 3
    # A table that came to need more of its writers than we do for it.
    session.sql(f"ALTER TABLE delta.`{table}` SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')").collect()
    write(session, "SELECT id AS n, 'z' AS more FROM range(5)", table, hour(1), settings)
    assert engines(tmp_path / "t")[-1] == "spark"
    assert len(rows_of(table, "n")) == 8


def test_windows_are_written_at_the_same_time(settings: Settings, tmp_path: Path) -> None:
    table = str(tmp_path / "t")

    def run(number: int) -> None:
        session = connect(settings.spark_remote)
        try:
            for rows in (9, number):
                write(session, f"SELECT id AS n FROM range({rows})", table, hour(number), settings)
        finally:
            session.stop()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, range(1, 7)))
    found = rows_of(table, "partition_key, count(*) over (partition by partition_key)")
    assert set(found) == {(hour(number).key, number) for number in range(1, 7)}
