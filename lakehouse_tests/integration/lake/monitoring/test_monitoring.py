"""Our own topics on the real broker: alerts and figures go out and come back once; lag, tail, a short load test."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from typer.testing import CliRunner

from lakehouse.components import LakeResource
from lakehouse.components.check_results import build_check_results_sensor
from lakehouse.components.monitoring import build_monitoring_defs
from lakehouse.components.quality import build_quality_defs, build_unusual_checks
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.lake.drain import drain
from lakehouse.lake.monitoring.metrics import lag, sample_pipeline
from lakehouse.lake.monitoring.outbox import ALERTS_STREAM, METRICS_STREAM
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.store import read_rows
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send
from lakehouse_tests.unit.ops.servers import mail_server

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]


def test_wrong_data_are_reported_hourly_and_every_alert_comes_back_once(
    settings: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = sales_on(settings, topic_name("sales"))
    own = load_streams() | {"sales": sales}
    for name in (ALERTS_STREAM, METRICS_STREAM):
        topic = own[name].topic.model_copy(update={"name": topic_name(name)})
        own[name] = own[name].model_copy(update={"topic": topic})
    monkeypatch.setattr("lakehouse.contracts.load.load_stream", own.__getitem__)
    events = [sale(n, at=datetime.now(UTC)) for n in range(20)] + [sale(100 + n, quantity=-1) for n in range(10)]
    send(settings, sales.topic.name, [encode(event) for event in events])
    assert lag(sales, settings).rows == 30
    drain(sales, settings, budget_seconds=240, idle_seconds=0)
    now = datetime.now(UTC)
    figures = {s.metric: s.value for s in sample_pipeline([sales], settings, now=now)}
    assert (figures["consumer_lag_rows"], figures["silver_behind_batches"]) == (0, 0)
    assert (figures["service_up"], figures["offline_partitions"]) == (1, 0)
    assert figures["throughput_rows_per_second"] > 0
    assert 0 < figures["latency_seconds"] < 300

    # The hourly job: a third of the records broke a rule, far more than it tolerates.
    lake = LakeResource()
    definitions = dg.Definitions.merge(
        build_quality_defs({"sales": sales}),
        dg.Definitions(asset_checks=[build_unusual_checks(sales)], resources={"lake": lake}),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        done = definitions.resolve_job_def("data_quality").execute_in_process(instance=instance)
        made = {e.asset_key.path[1]: e.materialization.metadata for e in done.get_asset_materialization_events()}
        assert list(made) == ["results", "report", "alerts"], "validate, then report, then alert"
        wrong = made["alerts"]["alerts"].value
        assert isinstance(wrong, int)
        assert wrong >= 3
        assert {e.check_name for e in done.get_asset_check_evaluations()} == {
            "volume_as_usual", "distribution_as_usual", "freshness_as_usual",
        }  # fmt: skip

        # The round of monitoring: people hear of it, by mail and once; figures go to the topic and to Prometheus.
        monitoring = dg.Definitions.merge(
            build_monitoring_defs({"sales": sales}), dg.Definitions(resources={"lake": lake})
        ).resolve_job_def("monitoring_job")
        with mail_server() as box:
            monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
            monkeypatch.setenv("SMTP_PORT", str(box.port))
            rounds = [monitoring.execute_in_process(instance=instance) for _ in range(2)]
        about = [str(message["Subject"]) for _, message in box.mails if "silver.sales" in str(message["Subject"])]
        assert any("rejects_quantity_positive" in subject for subject in about)
        assert len(set(about)) == len(about)
        told = {e.asset_key.path[1]: e.materialization.metadata for e in rounds[0].get_asset_materialization_events()}
        assert told["metrics"]["published"].value == told["metrics"]["samples"].value
        assert told["metrics"]["consumer_lag_rows_sales"].value == 0
        assert told["metrics"]["run_success_ratio_data_quality"].value == 1
        assert told["audit"]["new_actions"].value
        page = (settings.home / "metrics" / "lakehouse.prom").read_text(encoding="utf-8")
        assert 'lakehouse_consumer_lag_rows{stream="sales"} 0\n' in page

        # A failed check of any other run; the sensor crashes before its cursor is kept, and looks again.
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(["gold", "fct_sales"]), check_name="unique_order_id", passed=False,
                severity=dg.AssetCheckSeverity.ERROR, description="2 rows",
                metadata={"dagster_dbt/failed_row_count": 2},
            )
        )  # fmt: skip
        sensor = build_check_results_sensor()
        for _ in range(2):
            said = sensor(dg.build_sensor_context(instance=instance, resources={"lake": lake}))
            assert isinstance(said, dg.SensorResult)
            assert said.cursor
    assert "1 results, 0 of them new; 1 alerts sent" in str(said.skip_reason)
    results = read_rows(LakePaths.of(settings).quality_results)
    (dbt,) = [row for row in results if row["source"] == "dbt"]
    assert (dbt["table_name"], dbt["check_name"], dbt["broken"]) == ("gold.fct_sales", "unique_order_id", 2)

    alerts = own[ALERTS_STREAM]
    drain(alerts, settings, budget_seconds=240, idle_seconds=0)
    silver = rows_of(LakePaths.of(settings).silver(ALERTS_STREAM), "alert_id, table_name, check_name, severity")
    assert len(silver) == wrong + 1
    assert len({row[0] for row in silver}) == len(silver)
    assert ("gold.fct_sales", "unique_order_id", "error") in {row[1:] for row in silver}
    assert ("silver.sales", "rejects_quantity_positive", "error") in {row[1:] for row in silver}
    assert verify(settings, [alerts]).findings == []

    # Figures take the same way.
    samples = sample_pipeline([sales], settings, now=now)
    assert lake.publish_metrics(samples) == lake.publish_metrics(samples) == len(samples)
    drain(own[METRICS_STREAM], settings, budget_seconds=240, idle_seconds=0)
    kept = rows_of(LakePaths.of(settings).silver(METRICS_STREAM), "metric, figure, sampled_at")
    mine = [
        (metric, figure) for metric, figure, at in kept if at.timestamp() == pytest.approx(now.timestamp(), abs=1e-3)
    ]
    assert sorted(mine) == sorted((sample.metric, float(sample.value)) for sample in samples)
    assert len(kept) > len(mine), "and those of the rounds"


def test_a_topic_is_shown_from_its_beginning(settings: Settings, topic_name: Topic) -> None:
    from lakehouse.cli import tail

    sales = sales_on(settings, topic_name("sales"))
    values = [encode(sale(n)) for n in range(7)]
    send(settings, sales.topic.name, [*values, b"\xff not text", None], transactional=True)

    def shown() -> list[dict[str, Any]]:
        done = CliRunner().invoke(tail.app, [sales.topic.name, "--from-beginning", "--once", "--json"])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    # The broker tells partitions of a transaction's end a moment after it has told the producer.
    enough = retry_if_result(lambda records: len(records) < 9)
    records = Retrying(retry=enough, stop=stop_after_delay(30), wait=wait_fixed(0.1))(shown)
    assert sorted(r["value"] for r in records if r["value"]) == sorted(
        [*(v.decode() for v in values), "\\xff not text"]
    )
    assert {(r["partition"], r["offset"]) for r in records} == {(r["partition"], r["offset"]) for r in records}
    assert len(records) == 9
    assert sum(r["value"] is None for r in records) == 1
    two = CliRunner().invoke(tail.app, [sales.topic.name, "--from-beginning", "--count", "2"])
    assert len(two.stdout.splitlines()) == 2


def test_a_short_load_test_counts_and_proves(settings: Settings) -> None:
    from lakehouse.cli import loadtest
    from lakehouse.kafka.topics import list_topics

    before = {row["topic"] for row in list_topics(settings)}
    done = CliRunner().invoke(loadtest.app, ["--duration", "3", "--rate", "200", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["sent"] == report["bronze"] == pytest.approx(600, rel=0.2)
    assert (report["lost"], report["doubled"], report["failed"]) == (0, 0, 0)
    found = report["to_bronze"]
    assert 0 <= found["p50"] <= found["p95"] <= found["p99"] <= found["most"]
    left = {row["topic"] for row in list_topics(settings)} - before
    assert not [topic for topic in left if topic.startswith("loadtest-")], "its topics are gone"
    assert load_stream("sales").topic.name == "sales_events"
