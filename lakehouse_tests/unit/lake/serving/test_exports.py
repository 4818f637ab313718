"""Dated exports of a published gold: the daily tables in both forms, a day's folder replaced whole."""

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from lakehouse.errors import UsageError
from lakehouse.lake.gold.builds import GoldMissingError, gold_path
from lakehouse.lake.serving.exports import export_gold
from lakehouse.settings import load_settings

DAY = date(2026, 3, 1)


def test_daily_tables_are_written_once_a_day(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_ROOT=str(tmp_path / "lake"))
    with pytest.raises(GoldMissingError):
        export_gold(settings, day=DAY)
    gold_path(settings).parent.mkdir()
    with duckdb.connect(str(gold_path(settings))) as gold:
        gold.execute("create table sales_daily as select date '2026-03-01' as day, 'Böcker, \"A\"' as name, 1.5 as net")
        gold.execute("create table retail_daily as select 1 as n where false")
        gold.execute("create table fct_sales as select 1 as n")
    made = export_gold(settings, day=DAY)
    assert made.rows == {"retail_daily": 0, "sales_daily": 1}
    (made.folder / "of_the_first_export").touch()
    again = export_gold(settings, day=DAY, tables=["sales_daily"])
    assert again.folder == made.folder == tmp_path / "lake" / "reports" / "exports" / "2026-03-01"
    assert sorted(path.name for path in again.folder.iterdir()) == [
        "manifest.json", "sales_daily.csv", "sales_daily.parquet",
    ]  # fmt: skip
    assert json.loads((again.folder / "manifest.json").read_text(encoding="utf-8"))["rows"] == {"sales_daily": 1}
    for suffix in ("csv", "parquet"):
        with duckdb.connect() as reader:
            rows = reader.execute(f"select * from '{again.folder / f'sales_daily.{suffix}'}'").fetchall()
        assert [(row[0].isoformat(), row[1], float(row[2])) for row in rows] == [("2026-03-01", 'Böcker, "A"', 1.5)]
    with pytest.raises(UsageError, match="nowhere") as failure:
        export_gold(settings, day=DAY, tables=["nowhere"])
    assert "fct_sales" in failure.value.fix
    assert made.partitioned == ()
    assert [path.name for path in made.folder.parent.iterdir()] == ["2026-03-01"], "nothing half written stays"


def test_user_metrics_lie_in_folders_by_event_date(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_ROOT=str(tmp_path / "lake"))
    gold_path(settings).parent.mkdir()
    for days in (["2026-03-01", "2026-03-02"], ["2026-03-02", "2026-03-03"]):
        gold_path(settings).unlink(missing_ok=True)
        with duckdb.connect(str(gold_path(settings))) as gold:
            gold.execute("create table daily_user_metrics (user_id varchar, event_date date, total_events bigint)")
            rows = [(f"u{number}", day, number) for day in days for number in range(3)]
            gold.executemany("insert into daily_user_metrics values (?, ?, ?)", rows)
        (folder,) = export_gold(settings, day=DAY).partitioned
        assert folder == tmp_path / "lake" / "gold" / "daily_user_metrics"
        assert sorted(path.name for path in folder.iterdir()) == [f"event_date={day}" for day in days]
        with duckdb.connect() as reader:
            files = f"read_parquet('{folder}/*/*.parquet')"
            found = reader.execute(f"select user_id, event_date::varchar, total_events from {files} order by 2, 1")
            assert found.fetchall() == rows
    assert [path.name for path in folder.parent.iterdir()] == ["daily_user_metrics"], "nothing half written stays"
