"""Anomalies on tables written without Spark: three weeks of hours, then a silent hour, a shift, nothing new."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.maintenance.upkeep import maintain_records
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.history import VOLUME, figures
from lakehouse.lake.quality.store import CheckResult, Statistic, results_since, write_results, write_statistics
from lakehouse.lake.quality.unusual import look
from lakehouse.settings import Settings, load_settings

NOW = datetime(2026, 3, 20, 15, 20, tzinfo=UTC)
HOURS = 60
CONTRACT = StreamContract.model_validate(
    {
        "name": "clicks",
        "description": "Clicks of a shop.",
        "topic": {"name": "clicks"},
        "owners": ["team:web"],
        "start": "2026-03-01",
        "event_time": "at",
        "key": ["id"],
        "fields": [
            {"name": "id", "type": "string", "description": "Number of the click."},
            {"name": "at", "type": "timestamp", "description": "When it happened."},
            {"name": "page", "type": "string", "description": "Kind of page."},
            {"name": "amount", "type": "double", "description": "Worth of the basket."},
            {"name": "person", "type": "string", "description": "Who it was.", "pii": True, "nullable": True},
        ],
    }
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "lake"))
    return load_settings()


def fill(settings: Settings, *, last_hour: int = 100, last_amount: float = 10.0, last_page: str | None = None) -> None:
    """100 clicks an hour up to 14:00; then `last_hour` of them until 15:00."""
    rows: list[dict[str, Any]] = []
    end = NOW.replace(minute=0)
    for hour in range(HOURS):
        start = end - timedelta(hours=HOURS - hour)
        is_last = hour == HOURS - 1
        for number in range(last_hour if is_last else 100):
            at = start + timedelta(seconds=36 * number)
            page = ("home", "item", "cart", "item")[number % 4]
            rows.append(
                {
                    "id": f"{hour}-{number}", "at": at, "page": (last_page or page) if is_last else page,
                    "amount": (last_amount if is_last else 10.0) + (number + 7 * hour) % 9, "person": "Ada",
                    "event_date": at.date(),
                }
            )  # fmt: skip
    paths = LakePaths.of(settings)
    write_deltalake(paths.silver("clicks"), pa.Table.from_pylist(rows), partition_by=["event_date"])
    arrivals = [row["at"] for row in rows] + [end + timedelta(minutes=number) for number in range(20)]
    bronze = [{"timestamp": at, "arrival_date": at.date()} for at in arrivals]
    write_deltalake(paths.bronze("clicks"), pa.Table.from_pylist(bronze), partition_by=["arrival_date"])


def judged(settings: Settings, now: datetime = NOW) -> dict[str, CheckResult]:
    return {result.check: result for result in look(CONTRACT, settings, now=now)}


def test_a_usual_hour_is_usual_and_is_measured_once(settings: Settings) -> None:
    fill(settings)
    first = judged(settings)
    assert [result.passed for result in first.values()] == [True] * 3
    paths = LakePaths.of(settings)
    known = figures(paths, "clicks", now=NOW)
    assert [row["value"] for row in known[VOLUME, ""]] == [100.0] * (HOURS - 1), "the first hour may be half of one"
    assert ("null_share", "person") in known, "counting nulls shows nothing of a person"
    assert not [key for key in known if key[1] == "person" and key[0] != "null_share"]
    again = judged(settings)
    assert [result.message for result in again.values()] == [result.message for result in first.values()]
    assert figures(paths, "clicks", now=NOW) == known


def test_a_silent_hour_is_heard_with_range_and_command(settings: Settings) -> None:
    fill(settings, last_hour=0)
    volume = judged(settings)["volume_as_usual"]
    assert not volume.passed
    assert volume.observed == 0
    assert volume.low is not None
    assert volume.high is not None
    assert 50 < volume.low < 100 < volume.high < 200
    assert "2026-03-20 14:00 UTC, rows: 0; expected" in volume.message
    assert "usually 100" in volume.message
    assert volume.message.endswith("Next: lakehouse dq profile silver.clicks")
    # In a silent hour there is nothing to show but what came last.
    assert [row["id"] for row in volume.details["sample"]] == ["58-99", "58-98", "58-97"]
    assert "Rows: id=58-99, at=2026-03-20 13:59:24" in volume.message


def test_other_values_are_heard_with_rows_that_name_nobody(settings: Settings) -> None:
    fill(settings, last_amount=500.0, last_page="error")
    found = judged(settings)
    assert found["volume_as_usual"].passed
    shape = found["distribution_as_usual"]
    assert not shape.passed
    assert "median of amount" in shape.message
    assert "distance of the values of page: 1" in shape.message
    sample = shape.details["sample"]
    assert len(sample) == 3
    assert set(sample[0]) == {"id", "at", "page", "amount"}
    assert all(f"id={row['id']}, " in shape.message and row["page"] == "error" for row in sample)
    assert "Ada" not in json.dumps(shape.details) + shape.message


def test_a_stream_that_stopped_is_late_by_its_own_measure(settings: Settings) -> None:
    fill(settings)
    assert judged(settings)["freshness_as_usual"].passed
    late = judged(settings, NOW + timedelta(hours=9))["freshness_as_usual"]
    assert not late.passed
    assert late.observed == pytest.approx(9 * 3600 + 60)
    assert "lakehouse lag clicks" in late.message


def test_a_young_lake_is_left_alone(settings: Settings) -> None:
    fill(settings)
    early = NOW - timedelta(hours=HOURS - 8)
    assert all(result.passed for result in judged(settings, early).values())


def test_rows_are_added_once_however_often_they_are_written(tmp_path: Path) -> None:
    paths = LakePaths(str(tmp_path))
    results = [
        CheckResult("silver.a", name, "validity", True, run="r", at=NOW - timedelta(days=n))
        for n, name in enumerate("xyz")
    ]
    assert write_results(paths, results) == 3
    assert write_results(paths, [*results, *results]) == 0
    assert write_results(paths, [results[0].in_run("other", NOW)]) == 1
    assert len(results_since(paths, (NOW - timedelta(days=9)).date())) == 4
    assert len(results_since(paths, NOW.date())) == 2
    one = Statistic("a", NOW, "volume", "", 1.0)
    assert (write_statistics(paths, [one]), write_statistics(paths, [one._replace(value=2.0)])) == (1, 0)


def test_many_small_commits_become_one_file_and_no_row_is_lost(settings: Settings) -> None:
    paths = LakePaths.of(settings)
    require_lake(settings)
    for number in range(12):
        write_results(paths, [CheckResult("silver.a", f"c{number}", "validity", True, run="r", at=NOW)])
    (dry,) = maintain_records(settings, dry_run=True)
    (report,) = maintain_records(settings)
    assert (dry.stream, dry.layer, dry.before.files, dry.after.files) == ("quality", "results", 12, 12)
    assert (report.before.files, report.after.files) == (12, 1)
    assert {row["check_name"] for row in results_since(paths, NOW.date())} == {f"c{number}" for number in range(12)}
