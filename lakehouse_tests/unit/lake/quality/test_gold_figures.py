"""Figures of gold on a file made by hand over a real silver table: rows, empty cells, what is not shown yet."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.lake.gold.lineage import tables_below
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.gold import check_gold
from lakehouse.lake.quality.gold_figures import TableFigures, figure_results, keep
from lakehouse.lake.quality.history import NULLS, VOLUME
from lakehouse.lake.quality.store import Statistic, write_statistics
from lakehouse.quality.results import CheckResult
from lakehouse.settings import PROJECT_ROOT, Settings, load_settings
from lakehouse_tests.gold_files import publish
from lakehouse_tests.integration.dbt import silver

NOW = datetime(2026, 3, 20, 15, 20, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_ROOT=str(tmp_path / "lake"))


def named(results: list[CheckResult]) -> dict[tuple[str, str], CheckResult]:
    return {(result.table, result.check): result for result in results}


def test_gold_is_counted_and_says_what_it_does_not_show_yet(settings: Settings, tmp_path: Path) -> None:
    contract = load_stream("sales").model_copy(update={"reconcile": []})
    assert check_gold([contract], settings, days=None, now=datetime.now(UTC)) == [], "never built"
    rng = random.Random(11)
    rows = silver.keyed([silver.sale(rng, event_date=silver.DAYS[number % 2]) for number in range(10)])
    silver.write_sales(tmp_path / "lake", rows)
    publish(settings, ["sales"], {
        "sales_daily": "select i as n, case when i < 2 then null else i end as m from range(8) t(i)",
        "notes": "select 1 as d",
    })  # fmt: skip

    now = datetime.now(UTC)
    found = named(check_gold([contract], settings, days=None, now=now))
    assert found["gold.sales_daily", "row_count"].observed == 8
    complete = found["gold.sales_daily", "completeness"]
    assert (complete.observed, complete.details["missing"]) == (14 / 16, {"m": 2})
    assert found["gold.sales_daily", "timeliness"].observed == 1.0
    assert ("gold.notes", "timeliness") not in found, "made of nothing in silver"
    assert not [result for result in found.values() if not result.passed]
    alone = check_gold([contract], settings, days=None, now=now, only="notes")
    assert {result.table for result in alone} == {"gold.notes"}

    # A day of silver changes. Within freshness.fail of the contract nobody expects it in gold; after it, it is late.
    more = rows | silver.keyed([silver.sale(rng, event_date=silver.DAYS[1])])
    silver.write_sales(tmp_path / "lake", more, only={silver.DAYS[1]})
    soon = named(check_gold([contract], settings, days=None, now=datetime.now(UTC)))["gold.sales_daily", "timeliness"]
    assert soon.passed
    later = datetime.now(UTC) + contract.freshness.fail
    late = named(check_gold([contract], settings, days=None, now=later))["gold.sales_daily", "timeliness"]
    assert (late.passed, late.severity, late.observed, late.broken) == (False, "warning", 0.5, 1)
    assert late.details["oldest_change_waits_seconds"] == pytest.approx(contract.freshness.fail.total_seconds(), abs=60)


def test_rows_that_vanish_and_cells_that_empty_are_heard(settings: Settings) -> None:
    paths = LakePaths.of(settings)
    # 100 rows were more than a day ago; since then there were 40, a quarter of them without m.
    earlier = {NOW.replace(minute=0) - timedelta(hours=hours): 100 if hours > 24 else 40 for hours in range(30, 0, -1)}
    history = [Statistic("gold.sales_daily", slot, VOLUME, "", rows) for slot, rows in earlier.items()]
    history += [Statistic("gold.sales_daily", slot, NULLS, "m", 0.25) for slot in earlier]
    write_statistics(paths, history)

    def judged(rows: int, missing: int) -> dict[str, tuple[bool, str]]:
        table = TableFigures("sales_daily", rows, {"m": missing, "n": 0})
        known = keep(paths, [table], now=NOW)
        assert keep(paths, [table], now=NOW) == known, "an hour's own figure is not what it is compared with"
        return {result.check: (result.passed, result.severity) for result in figure_results(table, known, [], now=NOW)}

    assert judged(20, 5)["row_count"] == (True, "warning")
    assert judged(19, 5)["row_count"] == (False, "warning")
    assert judged(0, 0)["row_count"] == (False, "error")
    assert judged(40, 10)["null_shares_as_usual"] == (True, "warning")
    assert judged(40, 30)["null_shares_as_usual"] == (False, "warning")


def test_the_manifest_says_what_a_mart_is_made_of() -> None:
    below = tables_below(PROJECT_ROOT / "dbt_project" / "target" / "manifest.json")
    assert below["obt_sales"] == {"sales"}, "through staging and intermediate models"
    assert below["dim_shop_customer_history"] == {"history/customers"}
    assert tables_below(Path("nowhere")) == {}
