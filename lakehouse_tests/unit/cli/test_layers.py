"""`lakehouse speed`, `batch` and `kpis` on a lake in which nothing happened yet, and with views but no Spark."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.lake.serving.kpi_page import page_path, publish_kpis
from lakehouse.lake.speed.publish import view_of
from lakehouse.lake.speed.results import result_named
from lakehouse.lake.speed.store import ViewPosition, open_store
from lakehouse.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "lake"))
    # Nothing listens there: what these commands do without work needs no Spark.
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:1")
    return load_settings()


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakehouse.cli.main", *words], capture_output=True, text=True, check=False, timeout=120
    )


def test_without_events_there_is_nothing_to_do_and_every_figure_is_zero(settings: Settings) -> None:
    assert json.loads(command("speed", "--json").stdout) == {
        "steps": [],
        "published": {"user_event_counts_1m": 0, "windowed_counts": 0},
    }
    assert json.loads(command("batch", "--json").stdout) == {"days": [], "rows": 0}
    kpis = json.loads(command("kpis", "--json").stdout)
    assert (kpis["as_of"], kpis["boundary"], kpis["by_day"]) == (None, None, [])
    assert set(kpis["today"].values()) == {0}
    wrong = command("batch", "yesterday")
    assert wrong.returncode == 2
    assert "YYYY-MM-DD" in wrong.stderr


def test_key_figures_come_from_the_real_time_views_while_there_is_no_batch_view(settings: Settings) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    rows: list[dict[str, Any]] = [
        {
            "window_start": now,
            "window_end": now + timedelta(minutes=1),
            "user_id": user,
            "event_type": kind,
            "event_count": count,
            "total_revenue": Decimal(money),
            "last_event": now,
        }
        for user, kind, count, money in (("U1", "view", 3, "0.00"), ("U2", "purchase", 1, "9.90"))
    ]
    minutes, windows = (view_of(result_named(name)) for name in ("user_event_counts_1m", "windowed_counts"))
    first = ViewPosition("table", 1)
    store = open_store(settings)
    store.put(minutes, pa.Table.from_pylist(rows), before=None, after=first, replace=True)
    closed = {
        "window_start": now,
        "window_end": now + timedelta(minutes=5),
        "event_type": "view",
        "event_count": 3,
    }
    store.put(windows, pa.Table.from_pylist([closed]), before=None, after=first, replace=True)

    kpis = publish_kpis(settings).kpis

    figures = {"events": 4, "active_users": 2, "page_views": 3, "clicks": 0, "purchases": 1, "revenue": 9.9}
    assert kpis.today == figures
    assert kpis.by_day == [{"date": now.date(), "layer": "speed", **figures}]
    assert kpis.recent == [{"window_start": now, "event_type": "view", "event_count": 3}]
    assert kpis.as_of == now
    page = page_path(settings).read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "<polyline" in page
    assert "9.90" in page
    assert "http://" not in page.replace("http-equiv", "")
    assert "src=" not in page
