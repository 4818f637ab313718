"""Totals of gold against the silver that it was built from, as the quality run compares them."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli import dq
from lakehouse.contracts.load import load_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.gold import check_gold
from lakehouse.lake.quality.hourly import check_lake
from lakehouse.settings import Settings
from lakehouse_tests.gold_files import publish
from lakehouse_tests.integration.dbt import silver
from lakehouse_tests.unit.lake.quality.test_gold_figures import NOW, named

pytestmark = pytest.mark.spark


def test_a_total_that_differs_from_silver_is_a_finding(settings: Settings) -> None:
    rng = random.Random(13)
    rows = silver.keyed([silver.sale(rng, event_date=silver.DAYS[number % 2]) for number in range(12)])
    lake = Path(LakePaths.of(settings).root)
    silver.write_sales(lake, rows)
    by = "select event_date, category, sum(total_price) as gross_amount, sum(quantity) as quantity, count(*) as {}"
    rows_of = f"from delta_scan('{lake}/silver/sales') group by all"
    publish(settings, ["sales"], {
        "fct_sales": f"{by.format('order_lines')} {rows_of}",
        # On the first day one piece too many.
        "sales_daily": f"select * replace (quantity + (event_date = '{silver.DAYS[0]}')::int as quantity) "
                       f"from ({by.format('order_lines')} {rows_of})",
    })  # fmt: skip
    # Silver goes on: gold is held against the version that it was built from.
    silver.write_sales(lake, {})
    contract = load_stream("sales")

    found = named(check_gold([contract], settings, days=[silver.DAYS[1]], now=NOW))
    assert found["gold.sales_daily", "accuracy"].passed, "another day was asked about"
    # The hourly run asks about gold too, whatever streams there are.
    assert {"gold.sales_daily", "gold.fct_sales"} == {
        result.table for result in check_lake([], settings, days=[silver.DAYS[0]], now=NOW, run="gold")
    }

    done = CliRunner().invoke(dq.app, ["validate", "gold", "--json"])
    assert done.exit_code == 10, done.output
    results = {(one["table"], one["check"]): one for one in json.loads(done.stdout)["results"]}
    wrong = results["gold.sales_daily", "accuracy"]
    categories = len({row["category"] for row in rows.values() if row["event_date"] == silver.DAYS[0]})
    assert (wrong["passed"], wrong["severity"], wrong["broken"]) == (False, "critical", categories)
    assert f"event_date {silver.DAYS[0]}" in wrong["message"]
    assert results["gold.fct_sales", "accuracy"]["passed"]
