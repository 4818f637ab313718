"""What a build decides to read, without dbt: pins, touched dates, the record inside the gold file."""

import datetime as dt
import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.lake.gold import build_plan
from lakehouse.lake.gold.build_plan import BuildPlan, BuildRecord, SilverPin, plan_build
from lakehouse.lake.paths import LakePaths

DAYS = [dt.date(2026, 1, day) for day in (1, 2, 3)]


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    return LakePaths(str(tmp_path / "lake"))


def write(paths: LakePaths, days: list[dt.date], mode: str = "append") -> None:
    write_deltalake(
        paths.silver("sales"),
        pa.table({"n": range(len(days)), "event_date": days}),
        mode=mode,
        partition_by=["event_date"],
    )


def record(plan: BuildPlan) -> BuildRecord:
    return BuildRecord(
        dt.datetime.now(dt.UTC),
        plan.lake_id,
        plan.project,
        "id",
        {name: pin.version for name, pin in plan.pins.items()},
        {name: pin.dates for name, pin in plan.pins.items()},
    )


def plan(paths: LakePaths, previous: BuildPlan | None = None, **options: object) -> BuildPlan:
    options = {"project": "p", "lake_id": "lake"} | options
    return plan_build(paths, ["retail", "sales"], previous and record(previous), **options)  # type: ignore[arg-type]


def test_first_build_takes_everything_and_leaves_out_streams_without_silver(paths: LakePaths) -> None:
    write(paths, DAYS)

    first = plan(paths)

    assert first.mode == "full"
    shown = {"version": 0, "touched": None, "columns": ["n", "event_date"], "public": []}
    assert json.loads(first.as_json()) == {"sales": shown}


def test_only_dates_whose_files_changed_are_touched(paths: LakePaths) -> None:
    write(paths, DAYS)
    first = plan(paths)
    assert plan(paths, first).mode == "unchanged"

    write(paths, [DAYS[1], dt.date(2026, 1, 9)])
    DeltaTable(paths.silver("sales")).delete("event_date = '2026-01-03'")
    second = plan(paths, first)

    assert second.mode == "incremental"
    assert second.pins["sales"].version == 2
    assert second.pins["sales"].touched == ["2026-01-02", "2026-01-03", "2026-01-09"]


def test_frozen_reads_the_version_that_gold_shows(paths: LakePaths) -> None:
    write(paths, DAYS)
    first = plan(paths)
    write(paths, DAYS)

    again = plan(paths, first, frozen=True, full_refresh=True)

    assert again.pins["sales"].version == 0
    assert again.pins["sales"].dates == first.pins["sales"].dates


@pytest.mark.parametrize("change", [{"project": "other"}, {"lake_id": "other"}, {"full_refresh": True}])
def test_another_project_or_lake_computes_all_anew(paths: LakePaths, change: dict[str, object]) -> None:
    write(paths, DAYS)

    assert plan(paths, plan(paths), **change).mode == "full"


def test_too_many_dates_are_one_pass(paths: LakePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    write(paths, DAYS[:1])
    first = plan(paths)
    write(paths, DAYS)
    monkeypatch.setattr(build_plan, "MAX_TOUCHED_DATES", 2)

    assert plan(paths, first).pins["sales"].touched is None


def test_record_survives_in_the_gold_file(tmp_path: Path) -> None:
    gold = tmp_path / "gold.duckdb"
    built = BuildPlan("full", {"o'sales": SilverPin(3, None, {"2026-01-01": "abc"})}, "p", None)
    when = dt.datetime(2026, 5, 1, 12, 30, tzinfo=dt.UTC)
    assert build_plan.read_record(gold) is None
    with duckdb.connect(str(gold)) as connection:
        connection.execute("create table other (n int)")
    assert build_plan.read_record(gold) is None

    with duckdb.connect(str(gold)) as connection:
        build_plan.write_record(connection, built, built_at=when, invocation_id="first")
        build_plan.write_record(connection, built, built_at=when + dt.timedelta(seconds=1), invocation_id="second")

    found = build_plan.read_record(gold)
    assert found == BuildRecord(
        when + dt.timedelta(seconds=1), None, "p", "second", {"o'sales": 3}, {"o'sales": {"2026-01-01": "abc"}}
    )


def test_record_without_any_silver_still_says_when(tmp_path: Path) -> None:
    gold = tmp_path / "gold.duckdb"
    when = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    with duckdb.connect(str(gold)) as connection:
        build_plan.write_record(connection, BuildPlan("full", {}, "p", "lake"), built_at=when, invocation_id="x")

    found = build_plan.read_record(gold)

    assert found is not None
    assert (found.built_at, found.versions) == (when, {})


def test_project_fingerprint_follows_models_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: x", encoding="utf-8")
    (tmp_path / "models").mkdir()
    first = build_plan.project_fingerprint(tmp_path, "key")
    (tmp_path / "models" / "a.sql").write_text("select 1", encoding="utf-8")

    second = build_plan.project_fingerprint(tmp_path, "key")

    assert len({first, second, build_plan.project_fingerprint(tmp_path, "other key")}) == 3
