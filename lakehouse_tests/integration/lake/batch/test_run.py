"""A batch pipeline on real Spark and Delta: any window any number of times, in any order, gives the same tables."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.contracts.window import window_of
from lakehouse.errors import CheckFailedError, SourceMissingError
from lakehouse.lake.batch.run import StepContext, run_pipeline, run_step
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse.sources.batch.shop import orders
from lakehouse_tests.streams import rows_of

pytestmark = pytest.mark.spark
DAYS = ("2024-01-01", "2024-01-02")

SHOP = """
name: shop
description: A shop for tests.
owners: ["team:test"]
start: 2024-01-01
extract:
  - name: orders
    function: lakehouse.sources.batch.shop:orders
    options: {rows: 40, bad: 2}
    columns: {order_id: string, customer_id: string, product_id: string, quantity: integer,
              unit_price: "decimal(12,2)", status: string, created_at: timestamp}
    checks:
      - {name: price_positive, sql: "unit_price > 0", tolerance: 0.1}
      - {name: few_pieces, sql: "quantity < 5", severity: warn}
transform:
  - name: revenue
    sql: >-
      select product_id, cast(sum(quantity * unit_price) as decimal(18,2)) as revenue, max(created_at) as last_sold,
      ':start' as text from orders where created_at >= :start and created_at < :end group by product_id
load:
  - {name: by_day, input: revenue}
  - {name: by_product, input: revenue, strategy: merge, key: [product_id]}
deliver:
  - {name: note, function: "lakehouse_tests.integration.lake.batch.test_run:deliver", inputs: [by_day, shop.orders]}
"""


def deliver(context: StepContext) -> dict[str, Any]:
    return {"days": context.read("by_day").count(), "orders": context.read("shop.orders").count()}


def expected(day: str) -> dict[str, Decimal]:
    """Revenue per product of a day, computed in Python from the source."""
    totals: Counter[str] = Counter()
    settings: Any = None
    for row in orders(
        window_of("daily", day, window_of("daily", DAYS[0], PIPELINE.start).day), {"rows": 40, "bad": 2}, settings
    ):
        if row["unit_price"] > 0:
            totals[row["product_id"]] += row["quantity"] * row["unit_price"]
    return dict(totals)


PIPELINE = PipelineContract.model_validate(yaml.safe_load(SHOP))


def test_windows_in_any_order_and_twice_give_the_same_tables(settings: Settings) -> None:
    paths = LakePaths.of(settings)
    reports = {}
    for day in reversed(DAYS):
        reports = {report.step: report for report in run_pipeline(PIPELINE, day, settings)}
    assert reports["orders"].rows == 40
    assert reports["orders"].rejected == 2
    counts = {check.name: (check.broken, check.passed) for check in reports["orders"].checks}
    assert counts["price_positive"] == (2, True), "within the tolerance: kept out, not stopped"
    assert counts["typed"] == (0, True)
    assert counts["few_pieces"][0] > 0
    assert reports["note"].details == {"days": len(expected(DAYS[0])), "orders": 2 * 38}

    by_day = sorted(rows_of(paths.batch("shop", "by_day"), "partition_key, product_id, revenue, text"))
    assert by_day == sorted((day, product, total, ":start") for day in DAYS for product, total in expected(day).items())
    latest = {product: (DAYS[0], total) for product, total in expected(DAYS[0]).items()}
    latest |= {product: (DAYS[1], total) for product, total in expected(DAYS[1]).items()}
    merged = sorted(rows_of(paths.batch("shop", "by_product"), "product_id, partition_key, revenue"))
    assert merged == sorted((product, *rest) for product, rest in latest.items()), (
        "the later day wins, though run first"
    )
    rejected = rows_of(paths.batch("shop", "orders"), "_broken, count(*) filter (where _broken <> '') over ()")
    assert {name for name, _ in rejected} == {"", "price_positive"}

    run_pipeline(PIPELINE, DAYS[0], settings)
    assert sorted(rows_of(paths.batch("shop", "by_day"), "partition_key, product_id, revenue, text")) == by_day
    assert sorted(rows_of(paths.batch("shop", "by_product"), "product_id, partition_key, revenue")) == merged
    facts = rows_of(paths.events, "details, kind, stream")
    assert sum(json.loads(details)["step"] == "by_day" for details, kind, stream in facts if kind == "step") == 3


FILES = """
name: landed
description: Files for tests.
owners: ["team:test"]
start: 2024-01-01
extract:
  - name: lines
    files: "in/{year}/{month}/{date}.csv"
    columns: {id: string, amount: "decimal(8,2)"}
    checks: [{name: id_there, sql: "id is not null"}]
load:
  - {name: amounts, input: lines, strategy: merge, key: [id]}
"""


@pytest.mark.parametrize("linked", ["in/2024/01", "in/2024/01/part"])
def test_files_behind_a_link_are_taken(settings: Settings, linked: str) -> None:
    """A folder of files, or the path itself, may be a link to another disk."""
    elsewhere, link = settings.home / "elsewhere", settings.home / "landing" / linked
    elsewhere.mkdir(parents=True)
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    (elsewhere / "2024-01-01.csv").write_text("id,amount\na,1.50\n", encoding="utf-8")
    files = "in/{year}/{month}/*.csv" if linked.endswith("01") else "in/{year}/{month}/part"
    contract = yaml.safe_load(FILES.replace("in/{year}/{month}/{date}.csv", files))
    assert run_step(PipelineContract.model_validate(contract), "lines", DAYS[0], settings).rows == 1


def test_files_are_taken_and_bad_rows_stop_what_follows(settings: Settings) -> None:
    pipeline = PipelineContract.model_validate(yaml.safe_load(FILES))
    path = settings.home / "landing" / "in" / "2024" / "01" / "2024-01-01.csv"
    with pytest.raises(SourceMissingError) as missing:
        run_step(pipeline, "lines", DAYS[0], settings)
    assert missing.value.retryable
    assert str(path) in missing.value.problem

    path.parent.mkdir(parents=True)
    path.write_text('id,amount,more\na,1.50,"x\ny"\nb,much,z\n,3,z\n', encoding="utf-8")
    with pytest.raises(CheckFailedError, match=r"lines breaks id_there \(1 of 3 rows\)"):
        run_pipeline(pipeline, DAYS[0], settings)
    lines = LakePaths.of(settings).batch("landed", "lines")
    assert sorted(rows_of(lines, "coalesce(id, ''), amount, _broken"), key=str) == [
        ("", Decimal("3.00"), "id_there"),
        ("a", Decimal("1.50"), ""),
        ("b", None, "amount_type"),
    ]
    assert not Path(LakePaths.of(settings).batch("landed", "amounts")).exists()

    path.write_text("id,amount\na,1.50\na,2.50\n", encoding="utf-8")
    with pytest.raises(CheckFailedError, match="several rows of one key"):
        run_pipeline(pipeline, DAYS[0], settings)
