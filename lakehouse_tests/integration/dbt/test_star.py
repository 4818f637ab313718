"""Gold out of silver by the real dbt: totals, history, incremental = full, readers during builds, broken builds."""

import os
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.errors import GoldBusyError, GoldMissingError, UsageError
from lakehouse.lake.gold import builds, catalogue, dbt_run
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.integration.dbt import silver

MARTS = {
    "daily_user_metrics", "dim_customer", "dim_date", "dim_payment_method", "dim_product",
    "dim_product_current", "dim_retail_country",
    "dim_retail_customer", "dim_retail_product", "dim_shop_customer", "dim_shop_customer_history", "dim_store",
    "fct_retail_sales", "fct_sales", "fct_shop_orders", "obt_sales", "retail_daily", "sales_daily",
    "shop_customers_by_city", "user_events_daily",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state folder for this file: its tests are steps in the life of one lake."""
    folder = tmp_path_factory.mktemp("gold_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(folder))
        patch.delenv("LAKEHOUSE_ROOT", raising=False)
        yield folder


@pytest.fixture(scope="module")
def lake_settings(home: Path) -> Settings:
    return load_settings()


@pytest.fixture(scope="module")
def rows(home: Path) -> silver.Rows:
    """What silver holds now; tests change it in place, in the order of this file."""
    rng = random.Random(7)
    return silver.keyed([silver.sale(rng) for _ in range(600)])


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as connection:
        return connection.execute(query).fetchall()


def daily(settings: Settings) -> dict[Any, tuple[Any, ...]]:
    return {
        (row[0], row[1]): row[2:]
        for row in ask(
            settings,
            "select event_date, category, order_lines, customers, quantity, gross_amount, discount_amount, net_amount"
            " from sales_daily",
        )
    }


class Reader:
    """Opens the published file again and again, as a dashboard does, and keeps what went wrong."""

    def __init__(self, settings: Settings) -> None:
        self.reads, self.failures = 0, []
        self._settings, self._end = settings, threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def _loop(self) -> None:
        while not self._end.wait(0.02):
            try:
                [(lines, daily_lines)] = ask(
                    self._settings,
                    "select (select count(*) from fct_sales), (select coalesce(sum(order_lines), 0) from sales_daily)",
                )
                assert lines == daily_lines, "a half-built mart was visible"
                self.reads += 1
            except Exception as error:  # noqa: BLE001 - the test reports whatever a reader would meet
                self.failures.append(repr(error))

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_no_gold_yet_names_the_command(lake_settings: Settings) -> None:
    with pytest.raises(GoldMissingError, match="lakehouse gold build"):
        builds.require_gold(lake_settings)
    with pytest.raises(UsageError, match="lakehouse gold build"):
        builds.build(lake_settings, select="fct_sales")


def test_fresh_lake_gives_empty_marts_and_the_models_unit_tests_pass(lake_settings: Settings) -> None:
    with builds.building(lake_settings) as run:
        # Without the exclusion that production makes: the unit tests run too.
        result = dbt_run.run_dbt(["build"], run.env, run.state)
        assert result.failures == []
        run.publish(result)

    assert result.tests_passed > 30
    assert run.plan.pins == {}
    tables = {row[0] for row in ask(lake_settings, "select table_name from duckdb_tables() where schema_name = 'main'")}
    assert tables >= MARTS
    assert not ask(lake_settings, "select view_name from duckdb_views() where not internal")
    assert all(ask(lake_settings, f"select count(*) from {mart}") == [(0,)] for mart in MARTS)
    types = dict(ask(lake_settings, "select column_name, column_type from (describe fct_sales)"))
    assert types["net_amount"] == "DECIMAL(14,2)"


def test_star_equals_a_plain_model_and_readers_never_notice(
    lake_settings: Settings, home: Path, rows: silver.Rows
) -> None:
    version = silver.write_sales(home / "lake", rows)

    with Reader(lake_settings) as reader:
        report = builds.build(lake_settings)

    assert report.published, report.failures
    assert report.versions == {"sales": version}
    assert not reader.failures
    assert reader.reads > 10
    assert daily(lake_settings) == silver.expected_daily(rows)
    assert ask(lake_settings, "select count(*), count(distinct order_id), sum(net_amount) from obt_sales") == ask(
        lake_settings, "select count(*), count(distinct order_id), sum(net_amount) from fct_sales"
    )
    assert ask(lake_settings, "select count(*) from dim_product where is_current") == [(20,)]
    assert ask(lake_settings, "select count(*), min(date_day), max(date_day) from dim_date") == [
        (365, datetime(2026, 1, 1).date(), datetime(2026, 12, 31).date())  # noqa: DTZ001 - dates only
    ]
    assert not (builds.gold_path(lake_settings).stat().st_mode & 0o222), "the published file is read-only"
    for mart in ("fct_sales", "obt_sales", "sales_daily"):
        stored = ask(lake_settings, f"select event_date, category from {mart} order by rowid")
        assert stored == sorted(stored), f"{mart}: filters on dates skip blocks only while dates lie together"


def test_no_customer_number_reaches_gold(lake_settings: Settings) -> None:
    """Neither as a value nor as a hash that anybody could compute."""
    keys = {row[0] for row in ask(lake_settings, "select customer_key from dim_customer")}

    assert len(keys) == 50
    guesses = {row[0] for row in duckdb.sql("select md5(printf('CUST_%05d', i)) from range(100) t(i)").fetchall()}
    assert not keys & guesses
    content = builds.gold_path(lake_settings).read_bytes()
    assert b"CUST_000" not in content
    assert (builds.gold_path(lake_settings).parent / "pii.key").read_bytes() not in content


def test_nothing_changed_means_nothing_to_do(lake_settings: Settings) -> None:
    before = builds.gold_path(lake_settings).stat()

    report = builds.build(lake_settings)

    assert (report.mode, report.published, report.models) == ("unchanged", True, 0)
    assert builds.gold_path(lake_settings).stat().st_ino == before.st_ino


def test_changed_prices_and_names_are_kept_as_history(lake_settings: Settings, home: Path, rows: silver.Rows) -> None:
    changed_at = datetime(2026, 3, 12, 23, 59, 58, tzinfo=UTC)
    rng = random.Random(8)
    day = changed_at.date()
    for product, changes in ((1, {"unit_price": Decimal("99.90")}), (2, {"product_name": "Product 2, new"})):
        new = silver.sale(rng, product=product, event_date=day, sale_timestamp=changed_at, **changes)
        rows[day, new["order_id"]] = new
    shaken, touched = silver.shaken(rng, rows, 40)
    rows.clear()
    rows.update(shaken)
    silver.write_sales(home / "lake", rows, only=touched | {day})

    report = builds.build(lake_settings)

    assert report.published, report.failures
    assert report.mode == "incremental"
    assert report.touched == {"sales": len(touched | {day})}
    assert daily(lake_settings) == silver.expected_daily(rows)
    history = ask(
        lake_settings,
        "select product_id, product_name, list_price, valid_from, valid_to, is_current from dim_product"
        " where product_id in ('ANY_PRODUCT_1', 'ANY_PRODUCT_2') order by product_id, valid_from",
    )
    moment = changed_at.replace(tzinfo=None)
    assert [(row[0][-1], row[1], row[2], row[4], row[5]) for row in history] == [
        ("1", "Product 1", Decimal("1.37"), moment, False),
        ("1", "Product 1", Decimal("99.90"), None, True),
        ("2", "Product 2", Decimal("1.74"), moment, False),
        ("2", "Product 2, new", Decimal("1.74"), None, True),
    ]
    assert history[1][3] == history[3][3] == moment


def test_a_price_that_returns_begins_a_version_where_it_returned(
    lake_settings: Settings, home: Path, rows: silver.Rows
) -> None:
    returned_at = datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC)
    new = silver.sale(random.Random(12), product=1, event_date=returned_at.date(), sale_timestamp=returned_at)
    rows[returned_at.date(), new["order_id"]] = new
    silver.write_sales(home / "lake", rows, only={returned_at.date()})

    report = builds.build(lake_settings)

    assert report.published, report.failures
    versions = ask(
        lake_settings,
        "select list_price, valid_from from dim_product where product_id = 'ANY_PRODUCT_1' order by valid_from",
    )
    assert [row[0] for row in versions] == [Decimal("1.37"), Decimal("99.90"), Decimal("1.37")]
    assert versions[-1][1] == returned_at.replace(tzinfo=None)


def test_a_price_that_was_never_right_leaves_one_version(
    lake_settings: Settings, home: Path, rows: silver.Rows
) -> None:
    """The product looks again as before the wrong sale: the version that came back is there once, the other not."""
    sold_at = datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC)
    right = silver.sale(random.Random(13), product=3, event_date=sold_at.date(), sale_timestamp=sold_at)
    wrong = right | {"unit_price": Decimal("55.50"), "total_price": right["quantity"] * Decimal("55.50")}
    prices = "select list_price, valid_to, is_current from dim_product where product_id = 'ANY_PRODUCT_3'"
    seen = []
    for one in (wrong, right):
        rows[sold_at.date(), one["order_id"]] = one
        silver.write_sales(home / "lake", rows, only={sold_at.date()})
        report = builds.build(lake_settings)
        assert report.published, report.failures
        seen.append(len(ask(lake_settings, prices)))

    assert seen == [2, 1]
    assert ask(lake_settings, prices) == [(right["unit_price"], None, True)]


def test_broken_silver_is_not_published(lake_settings: Settings, home: Path, rows: silver.Rows) -> None:
    """A total that is not quantity times price fails a test; readers keep what they have. The next test heals."""
    before = daily(lake_settings)
    bad = silver.sale(random.Random(10), event_date=silver.DAYS[0], total_price=Decimal("0.01"))
    silver.write_sales(home / "lake", rows | silver.keyed([bad]), only={silver.DAYS[0]})

    report = builds.build(lake_settings)

    assert not report.published
    assert any("fct_sales" in failure for failure in report.failures), report.failures
    assert daily(lake_settings) == before


def test_incremental_builds_look_for_repeated_orders_where_something_changed(
    lake_settings: Settings, home: Path, rows: silver.Rows
) -> None:
    """Within a date it refuses the build, on another date it warns. The next test heals."""
    known = next(row for (day, _), row in rows.items() if day == silver.DAYS[1])
    elsewhere = silver.keyed([{**known, "event_date": silver.DAYS[2]}])
    silver.write_sales(home / "lake", rows | elsewhere, only={silver.DAYS[0], silver.DAYS[2]})
    report = builds.build(lake_settings)
    assert (report.published, report.mode) == (True, "incremental"), report.failures
    assert [warning.split(":")[0] for warning in report.warnings] == [
        "test unique_across_dates_fct_sales_order_id__sales"
    ]
    assert {"fct_retail_sales", "stg_market__ticks"} <= set(report.left_alone)
    assert not {"dim_date", "fct_sales", "stg_sales__order_lines"} & set(report.left_alone)
    assert report.models + len(report.left_alone) == 37

    silver.write_sales(home / "lake", rows, only={silver.DAYS[4]})
    report = builds.build(lake_settings)
    assert (report.touched, len(report.warnings)) == ({"sales": 1}, 1), "it lasts as long as its cause"

    twice = rows | {(silver.DAYS[0], "again"): next(row for (day, _), row in rows.items() if day == silver.DAYS[0])}
    silver.write_sales(home / "lake", twice, only={silver.DAYS[0]})
    refused = builds.build(lake_settings)
    assert not refused.published
    assert {failure.split(":")[0] for failure in refused.failures} == {
        "test unique_combination_fct_sales_event_date__order_id__sales",
        "test unique_combination_obt_sales_event_date__order_id__sales",
    }
    silver.write_sales(home / "lake", rows, only={silver.DAYS[0], silver.DAYS[2]})
    assert builds.build(lake_settings).warnings == []


def test_incremental_equals_full_refresh(lake_settings: Settings, home: Path, rows: silver.Rows) -> None:
    """Removing a whole date is the hard case: no row of it is left that a watermark could see."""
    rng = random.Random(9)
    shaken, touched = silver.shaken(rng, rows, 60)
    gone = silver.DAYS[3]
    kept = {key: row for key, row in shaken.items() if key[0] != gone}
    rows.clear()
    rows.update(kept)
    silver.write_sales(home / "lake", rows, only=touched | {gone, silver.DAYS[0]})
    marts = sorted(MARTS)

    incremental = builds.build(lake_settings)
    after_incremental = {mart: sorted(ask(lake_settings, f"from {mart}"), key=repr) for mart in marts}
    full = builds.build(lake_settings, full_refresh=True)
    after_full = {mart: sorted(ask(lake_settings, f"from {mart}"), key=repr) for mart in marts}

    assert (incremental.mode, full.mode) == ("incremental", "full")
    assert incremental.versions == full.versions
    assert daily(lake_settings) == silver.expected_daily(rows)
    assert after_incremental == after_full
    [(builds_so_far,)] = ask(lake_settings, "select count(distinct built_at) from _build")
    assert builds_so_far > 4, "a build of everything keeps the records of those before"
    assert {path.name for path in builds.gold_path(lake_settings).parent.iterdir()} == {
        "gold.duckdb", "build.lock", "pii.key", "dbt",
    }  # fmt: skip


def test_abandoned_build_leaves_gold_and_the_lock_free(lake_settings: Settings) -> None:
    before = daily(lake_settings)
    with pytest.raises(KeyboardInterrupt):
        _abandon_a_build(lake_settings)

    with builds.building(lake_settings, wait_seconds=0):
        assert daily(lake_settings) == before


def _abandon_a_build(settings: Settings) -> None:
    with builds.building(settings):
        builds.work_path(settings).write_bytes(b"half a file")
        with pytest.raises(GoldBusyError, match=str(os.getpid())), builds.building(settings, wait_seconds=0):
            pass
        raise KeyboardInterrupt


def test_docs_are_one_page_without_remote_requests(lake_settings: Settings) -> None:
    page = catalogue.build_docs(lake_settings)

    html = page.read_text(encoding="utf-8")
    key = (builds.gold_path(lake_settings).parent / "pii.key").read_text(encoding="utf-8")
    assert key not in html
    assert page.name == "index.html"
    assert "fct_sales" in html
    assert catalogue.remote_references(html) == set()
    assert catalogue.remote_references('<script async src="https://cdn.example.com/x.js">') == {
        "https://cdn.example.com/x.js"
    }
