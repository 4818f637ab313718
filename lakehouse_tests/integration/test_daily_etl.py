"""The daily batch flow under Dagster on the real broker and Spark: from the source to the files for BI tools."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.components import LakeResource
from lakehouse.components.pipeline import build_pipeline_defs
from lakehouse.components.pipeline_assets import step_key
from lakehouse.contracts.pipeline import PipelineContract, Retries
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.contracts.window import window_of
from lakehouse.engine.postgres import connect, shown
from lakehouse.kafka.topic_plan import DesiredTopic
from lakehouse.kafka.topics import apply_topics
from lakehouse.lake.batch.run import run_step
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.settings import PROJECT_ROOT, Settings, load_settings
from lakehouse.sources.batch.database import orders
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
DAY = "2026-01-15"
# Thirty orders a day from the 14th on; the digits of an amount survive no float, and the first of the 15th is negative.
ORDERS_OF_THREE_DAYS = """
insert into orders
select n, 1000 + n % 7, case n when 31 then -1 else 9007199254.01 + n end,
    (array['paid', 'shipped', 'cancelled'])[n % 3 + 1],
    timestamptz '2026-01-14 00:00:00Z' + (n - 1) / 30 * interval '1 day' + (n - 1) % 30 * interval '48 minutes',
    timestamptz '2026-01-20 00:00:00Z'
from generate_series(1, 90) n
"""


def daily_etl(settings: Settings, topic: str, **options: Any) -> PipelineContract:
    """The pipeline as it is, on a topic of the test's own."""
    apply_topics(settings, [DesiredTopic(topic, 2, 1, {}, origin="test")])
    contract = load_pipeline("daily_etl")
    (source,) = contract.extract
    source = source.model_copy(update={"topic": topic, "options": {**source.options, **options}})
    retries = Retries.model_validate({"attempts": 1, "delay": "1s"})
    return contract.model_copy(update={"extract": [source], "retries": retries})


def run(contract: PipelineContract, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    found = dg.Definitions.merge(build_pipeline_defs(contract), dg.Definitions(resources={"lake": LakeResource()}))
    job = found.resolve_job_def("daily_etl")
    return job.execute_in_process(instance=instance, partition_key=DAY, raise_on_error=False)


def test_from_the_source_to_the_files_for_bi(settings: Settings, topic_name: Callable[[str], str]) -> None:
    contract = daily_etl(settings, topic_name("daily"))
    paths = LakePaths.of(settings)
    source = list(orders(window_of("daily", DAY, contract.start), contract.extract[0].options, settings))
    good = [row for row in source if row["amount"] >= 0]
    paid = [row for row in good if row["status"] != "cancelled"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(contract, instance)
        assert result.success
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys(
        [
            "order_id_there",
            "amount_not_negative",
            "updated_after_created",
            "known_status",
            "typed",
            "revenue_not_negative",
        ],
        True,
    )
    bronze = sorted(rows_of(paths.batch("daily_etl", "orders"), "order_id, _broken, partition_key"))
    assert [order for order, _, _ in bronze] == sorted(row["order_id"] for row in source)
    assert sum(broken == "amount_not_negative" for _, broken, _ in bronze) == 3
    silver = rows_of(paths.batch("daily_etl", "orders_clean"), "order_id")
    assert sorted(silver) == sorted((row["order_id"],) for row in paid)
    current = rows_of(paths.batch("daily_etl", "orders_current"), "count(*), count(distinct order_id)")
    assert current == [(len(paid), len(paid))]
    run_step(contract, "orders", DAY, settings)
    again = sorted(rows_of(paths.batch("daily_etl", "orders"), "order_id, _broken, partition_key"))
    assert again == bronze, "published twice, there once"
    (pushed,) = (settings.home / "exports" / "daily_etl").glob("*.csv")
    with pushed.open(encoding="utf-8", newline="") as file:
        total = sum(Decimal(row["revenue"]) for row in csv.DictReader(file))
    assert total == sum(row["amount"] for row in paid)
    page = settings.home / "reports" / "daily_etl" / f"{DAY}.html"
    assert page.read_text(encoding="utf-8").count("<tr>") == 1 + len({row["status"] for row in paid})
    assert (settings.home / "exports" / "daily_etl" / f"{DAY}.parquet").is_file()


def test_bad_rows_stop_the_run_before_the_transforms(settings: Settings, topic_name: Callable[[str], str]) -> None:
    contract = daily_etl(settings, topic_name("daily"), bad=100)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(contract, instance)
        assert not result.success
        made = {event.asset_key for event in result.get_asset_materialization_events()}
        gate = [check for check in result.get_asset_check_evaluations() if check.check_name == "amount_not_negative"]
    assert made == {step_key("daily_etl", "orders")}
    assert not gate[0].passed
    assert gate[0].metadata["broken"].value == 100
    paths = LakePaths.of(settings)
    assert table_exists(paths.batch("daily_etl", "orders")), "bronze keeps what came, marked"
    assert not table_exists(paths.batch("daily_etl", "orders_clean"))
    facts = [json.loads(details) for (details,) in rows_of(paths.events, "details")]
    assert [fact["step"] for fact in facts] == ["orders"], "a broken check is no reason to extract again"
    assert not Path(settings.home / "exports").exists()


def test_the_source_is_the_shops_database(settings: Settings, topic_name: Callable[[str], str], database: str) -> None:
    contract = daily_etl(settings, topic_name("daily"))
    with connect(database) as connection:
        # As the shop's database is set up; a replication slot is for change capture alone.
        setup = (PROJECT_ROOT / "infra" / "postgres" / "source.sql").read_text(encoding="utf-8")
        connection.execute(setup.partition("-- A slot keeps")[0].encode())
        connection.execute(ORDERS_OF_THREE_DAYS)
    for step in ("orders", "orders_clean", "revenue", "daily_revenue"):
        run_step(contract, step, DAY, load_settings())
    paths = LakePaths.of(settings)
    bronze = rows_of(paths.batch("daily_etl", "orders"), "source, order_id, _broken")
    assert sorted(bronze) == sorted(
        (shown(database), str(number), "amount_not_negative" if number == 31 else "") for number in range(31, 61)
    )
    with connect(database) as connection:
        wanted = connection.execute(
            "select status, count(*), sum(amount) from orders where created_at::date = %s and amount >= 0 "
            "and status <> 'cancelled' group by status",
            (DAY,),
        ).fetchall()
    assert sorted(rows_of(paths.batch("daily_etl", "daily_revenue"), "status, orders, revenue")) == sorted(wanted)
