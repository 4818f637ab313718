"""`lakehouse demo --full` shows every stream and every pipeline: a new one is a line in the demo, or fails here."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.cli import demo_beside, demo_pipelines
from lakehouse.cli.demo import demo
from lakehouse.cli.demo_beside import FEW, MORE, OF_THE_SHOP, OWN, Beside
from lakehouse.cli.demo_loads import LOADS, TOP_UPS
from lakehouse.cli.demo_pipelines import FROM_OUTSIDE, FROM_STREAMS, ONE_FLOW
from lakehouse.contracts.load import load_streams
from lakehouse.contracts.pipeline import PARTITION_COLUMN
from lakehouse.contracts.pipelines import BATCH_FOLDER, load_pipelines
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.lake.batch.daily_views import VIEW
from lakehouse.lake.batch.report import StepReport
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import load_settings

STORY = "sales"


def test_every_stream_is_shown():
    shown = [STORY, *(contract.name for contract in Beside(full=True).contracts)]
    assert sorted(shown) == sorted(load_streams()), "give it a load in demo_loads and a place in demo_beside"


def test_every_stream_that_is_shown_gets_records_from_somewhere():
    fed_by_pipelines = {contract.name for contract in load_streams().values() if any(s.by for s in contract.upstream)}
    without = {*FEW, *MORE} - set(LOADS) - set(TOP_UPS) - fed_by_pipelines
    assert not without, "sent by nothing: they would be waited for in vain, or shown empty"
    assert {"data_quality_alerts", "system_metrics"} == set(OWN), "sent by the quality run and the monitoring"


def test_every_pipeline_is_shown():
    assert sorted([*FROM_OUTSIDE, *FROM_STREAMS]) == sorted(load_pipelines()), "give it a window in demo_pipelines"
    assert [path.parent.name for path in BATCH_FOLDER.glob("*/definitions.py")] == [VIEW]


def test_what_waits_for_another_pipeline_comes_after_it():
    order = [*FROM_OUTSIDE, *FROM_STREAMS]
    for name, contract in load_pipelines().items():
        if contract.wait_for is not None:
            assert order.index(contract.wait_for.pipeline) < order.index(name)


def test_what_reads_silver_comes_after_the_streams():
    for name in FROM_OUTSIDE:
        assert not [step.name for step in load_pipelines()[name].extract if step.table], name


def test_without_full_the_demo_is_a_choice():
    few = Beside(full=False)
    assert [contract.name for contract in few.contracts] == ["user_events", "market_data", "customers"]
    assert few.title == "user_events, market_data, customers and a batch pipeline"
    assert ONE_FLOW == ("orders_star",)


def test_without_a_shop_of_ours_its_stream_and_pipeline_are_named_with_the_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_SOURCE_URL", "postgresql://me@db.example.com/shop")
    shown: list[str] = []
    monkeypatch.setattr("lakehouse.kafka.topics.apply_topics", lambda *_, **__: [])
    monkeypatch.setattr(demo_beside, "show_pipelines", lambda _, names: shown.extend(names))
    monkeypatch.setattr(demo_beside, "show_daily_agg", lambda _: None)
    monkeypatch.setattr(demo_beside, "show_quality", lambda _: None)
    monkeypatch.setattr(demo_beside, "wait_for_gold", lambda *_: None)
    monkeypatch.setattr(demo_beside, "drain_at_once", lambda *_: None)
    monkeypatch.setattr(Beside, "_show_streams", lambda _, __, contracts: shown.extend(c.name for c in contracts))
    beside = Beside(full=True)
    beside.prepare(load_settings(), lambda _: None)
    beside.show(load_settings(), lambda: shown.append("in silver"))
    assert shown[-1] == "in silver"
    said = capsys.readouterr().err
    for name in OF_THE_SHOP:
        assert name not in shown
        assert f"- {name}: not shown; LAKEHOUSE_SOURCE_URL is a database of your own" in said


def test_loads_are_sent_to_what_was_started_beside_them(tmp_path, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr("lakehouse.cli.setup.prepare", lambda *_: None)
    monkeypatch.setattr("lakehouse.engine.embedded.stack.start", lambda *_: None)
    endpoints = StackFiles(tmp_path).endpoints
    endpoints.parent.mkdir(parents=True, exist_ok=True)
    shop = "postgresql://postgres@127.0.0.1:5432/source_db"
    prepared = lambda *_: endpoints.write_text(json.dumps({"LAKEHOUSE_SOURCE_URL": shop}))  # noqa: E731
    sent: list[str] = []

    def send(_, settings):
        sent.append(settings.source_url.get_secret_value())
        raise KeyboardInterrupt

    monkeypatch.setattr(Beside, "prepare", prepared)
    monkeypatch.setattr(Beside, "send", send)
    with pytest.raises(KeyboardInterrupt):
        demo(full=True, events=1, bad_share=0, rate=1, pull_plug=False)
    assert sent == [shop]


def test_a_window_whose_last_table_has_it_is_not_run_again(tmp_path, monkeypatch, capsys):
    settings, run = load_settings(LAKEHOUSE_HOME=tmp_path), []
    monkeypatch.setattr("lakehouse.lake.batch.run.run_pipeline", lambda pipeline, *_: run.append(pipeline.name) or [])
    window = demo_pipelines._yesterday(settings, load_pipelines()["orders_star"])
    table = LakePaths.of(settings).batch("orders_star", "city_category_daily")
    rows = pa.table({"sales": [1, 2, 3], PARTITION_COLUMN: [window, window, "2020-01-01"]})
    write_deltalake(table, rows.slice(2), partition_by=[PARTITION_COLUMN])
    demo_pipelines.show_pipelines(settings, ["orders_star"])
    assert run == ["orders_star"], "another window's rows"
    write_deltalake(table, rows.slice(0, 2), mode="append")
    demo_pipelines.show_pipelines(settings, ["orders_star", "daily_etl"])
    assert run == ["orders_star", "daily_etl"], "what a delivery has made is not to be seen"
    assert f"✓ pipeline orders_star, {window}: made before · city_category_daily 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "newest", "window"),
    [
        ("hourly_sync", datetime(2026, 11, 21, 14, 59, 59, tzinfo=UTC), "2026-11-21-14:00"),
        ("market_forex", datetime(2026, 11, 20, 21, 59, 54, tzinfo=UTC), "2026-11-20-21:45"),
        ("etl_retail_country_daily", datetime(2026, 11, 21, 17, 30, tzinfo=UTC), "2026-11-21"),
        ("user_features", None, None),
    ],
)
def test_a_pipeline_of_a_stream_takes_the_window_of_the_newest_row(monkeypatch, name, newest, window):
    monkeypatch.setattr(demo_pipelines, "newest_time", lambda *_, **__: newest)
    chosen = demo_pipelines._STREAMS[name](SimpleNamespace(), load_pipelines()[name])
    assert chosen == window


def test_a_delivery_tells_its_figures_and_not_that_it_has_no_rows():
    def report(stage, rows=0, rejected=0, **details):
        return StepReport("p", "step", stage, "2026-11-21", rows, rejected, 1.0, details=details)

    assert demo_pipelines._said(report("load", rows=1_200)) == "step 1,200"
    assert demo_pipelines._said(report("extract", rows=300, rejected=3)) == "step 300 (3 rejected)"
    assert demo_pipelines._said(report("deliver", path="/x", trained=True, files_before=9)) == "step (files before 9)"
    assert demo_pipelines._said(report("deliver", path="/x")) == "step"
