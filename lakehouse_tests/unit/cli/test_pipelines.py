"""`lakehouse pipelines` and `lakehouse backfill` of a pipeline: what is listed, what is refused, which windows."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.backfill import app as backfill
from lakehouse.cli.backfill_pipeline import windows_of
from lakehouse.cli.pipelines import app
from lakehouse.contracts.pipelines import load_pipeline, load_pipelines
from lakehouse.errors import UsageError
from lakehouse.settings import PROJECT_ROOT


def test_the_list_has_every_pipeline() -> None:
    result = CliRunner().invoke(app, ["list", "--json"])
    listed = {row["pipeline"]: row for row in json.loads(result.stdout)}
    assert list(listed) == list(load_pipelines())
    daily = listed["daily_etl"]
    assert (daily["schedule"], daily["retries"], daily["catchup"], daily["on"]) == (
        "0 2 * * *",
        "2 after 0:05:00",
        False,
        True,
    )
    assert listed["downstream_etl"]["schedule"] == "after source_etl"


def test_a_broken_file_ends_with_the_code_of_usage(tmp_path: Path) -> None:
    good = (PROJECT_ROOT / "lakehouse/defs/batch/source_etl/defs.yaml").read_text(encoding="utf-8")
    path = tmp_path / "defs.yaml"
    path.write_text(good.replace("@daily", "@sometimes"), encoding="utf-8")
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    path.write_text(good, encoding="utf-8")
    assert CliRunner().invoke(app, ["validate", str(path)]).stdout == "1 pipelines are valid.\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "daily_etl"], "runs window by window"),
        (["run", "daily_etl", "--partition", "2026-1-1x"], "is no partition key"),
        (["run", "daily_etl", "--partition", "2025-12-31"], "is no partition"),
        (["run", "daily_etl", "--partition", "2026-01-01", "--step", "ordres"], "has no step 'ordres'"),
        (["run", "dayly_etl", "--partition", "2026-01-01"], "There is no pipeline 'dayly_etl'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_done(arguments: list[str], problem: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert problem in result.exception.problem


def test_a_month_of_days_is_thirty_one_windows() -> None:
    arguments = ["backfillable_etl", "--from", "2024-01-01", "--to", "2024-01-31", "--dry-run", "--direct", "--json"]
    result = CliRunner().invoke(backfill, arguments)
    assert json.loads(result.stdout)["windows"] == [f"2024-01-{day:02d}" for day in range(1, 32)]


def test_only_windows_that_have_ended_are_run() -> None:
    now = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    hourly = load_pipeline("hourly_sync")
    assert windows_of(hourly, [date(2026, 3, 2)], now) == ["2026-03-02-00:00"]
    assert len(windows_of(hourly, [date(2026, 3, 1), date(2026, 3, 2)], now)) == 25
    with pytest.raises(UsageError, match="has ended yet"):
        windows_of(load_pipeline("daily_etl"), [date(2026, 3, 2)], now)
    with pytest.raises(UsageError, match="has no windows"):
        windows_of(load_pipeline("sales_history"), [date(2026, 3, 1)], now)
