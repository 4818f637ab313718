"""Validation, figures, profile and report on a real drain; then the same lake with rows broken by hand."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
from typer.testing import CliRunner

from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.hourly import check_lake, report_of, results_of_run, write_report
from lakehouse.lake.quality.store import results_since
from lakehouse.lake.quality.validate import TableMissingError, validate
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def test_a_lake_is_judged_reported_and_asked_about(
    settings: Settings, topic_name: Callable[[str], str], spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = sales_on(settings, topic_name("sales"))
    with pytest.raises(TableMissingError, match=r"silver\.sales"):
        validate(contract, settings, "silver")
    now = datetime.now(UTC)
    good = [sale(n, at=now - timedelta(seconds=n)) for n in range(95)]
    late = [sale(200 + n, at=now - timedelta(hours=3), payment_method="Barter") for n in range(3)]
    broken = [sale(300, quantity=-1), sale(301, quantity=-2)]
    send(settings, contract.topic.name, [encode(event) for event in [*good, *late, *broken]])
    drain(contract, settings, budget_seconds=240, idle_seconds=0)

    # As the hourly run does it, and once more: the same run adds nothing.
    run_id, paths = "the-run", LakePaths.of(settings)
    results = check_lake([contract], settings, days=None, now=now, run=run_id)
    assert check_lake([contract], settings, days=None, now=now, run=run_id) == results
    kept = results_since(paths, now.date())
    assert len(kept) == len(results)
    assert not [result for result in results if result.is_finding], "2 of 100 rejects are tolerated"
    by_name = {(result.table, result.check): result for result in results}
    assert by_name["silver.sales", "accuracy"].observed == pytest.approx(0.98)
    assert by_name["silver.sales", "timeliness"].observed == pytest.approx(95 / 98), "three came 3 hours late"
    assert by_name["silver.sales", "completeness"].observed == 1.0
    assert by_name["bronze.sales", "completeness"].rows == 100
    assert by_name["silver.sales", "rejects_quantity_positive"].broken == 2
    warned = by_name["silver.sales", "known_payment_method"]
    assert (warned.passed, warned.broken, warned.severity) == (False, 3, "warning")
    assert {"volume_as_usual", "distribution_as_usual", "freshness_as_usual"} <= {check for _, check in by_name}

    made = report_of(results_of_run(settings, run_id, now.date()), {"sales": contract}, settings, days=None,
                     now=now, run=run_id)  # fmt: skip
    written = write_report(made, settings)
    page = written.page.read_text(encoding="utf-8")
    assert written.page.parent.name == now.date().isoformat()
    for text in ("silver.sales", "team:data-engineering", "warn after 10m, late after 1h", "<svg", "98.00%"):
        assert text in page
    assert "CUST_" not in page, "personal fields are in no report"
    assert pq.read_table(written.rows).num_rows == len(results)
    profile = {column.name: column for column in made.profiles["sales"]}
    assert "customer_id" not in profile
    quantity = profile["quantity"]
    assert (quantity.rows, quantity.nulls, quantity.distinct) == (98, 0, 5)
    assert (quantity.least, quantity.greatest) == ("1", "5")
    assert 1 <= quantity.quantiles[0.25] <= quantity.quantiles[0.75] <= 5
    assert sum(count for _, count in quantity.histogram) == 98
    assert dict(profile["payment_method"].top) == {"Credit Card": 95, "Barter": 3}

    monkeypatch.setattr("lakehouse.contracts.load.load_stream", lambda _: contract)
    from lakehouse.cli import dq, sql

    done = CliRunner().invoke(dq.app, ["validate", "silver.sales", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["ok"]
    asked = CliRunner().invoke(
        sql.app, ["select count(*) as n from results where not passed", "--layer", "quality", "--json"]
    )
    assert json.loads(asked.stdout)[0]["n"] >= 2

    # Another writer breaks silver: a row without a store, one of quantity 0, and one key twice.
    one = spark.read.format("delta").load(paths.silver("sales")).limit(1)
    missing = {"order_id": F.lit("1" * 8 + "-1111" * 3 + "-" + "1" * 12), "store_id": F.expr("cast(null as string)")}
    without = one.withColumns(missing)
    none_sold = one.withColumns({"order_id": F.lit("2" * 8 + "-2222" * 3 + "-" + "2" * 12), "quantity": F.lit(0)})
    one.union(without).union(none_sold).write.format("delta").mode("append").save(paths.silver("sales"))
    done = CliRunner().invoke(dq.app, ["validate", "silver.sales", "--json"])
    assert done.exit_code == 10
    answer = json.loads(done.stdout)
    found = {result["check"]: result["broken"] for result in answer["results"]
             if not result["passed"] and result["severity"] in ("error", "critical")}  # fmt: skip
    assert found == {
        "store_id_present": 1, "store_id_format": 1, "quantity_positive": 1, "total_is_gross": 1, "key_is_unique": 1,
        "completeness": 1,
    }  # fmt: skip

    changed = contract.model_copy(
        update={
            "fields": [f.model_copy(update={"type": "long"}) if f.name == "quantity" else f for f in contract.fields]
        }
    )
    (schema_result,) = validate(changed, settings, "silver")
    assert not schema_result.passed
    assert "quantity is int, must be bigint" in schema_result.message
