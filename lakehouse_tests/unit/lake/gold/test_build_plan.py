"""What a build decides to read, without dbt: pins, touched dates, the record inside the gold file."""

import datetime as dt
import json
import os
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.contracts.evolution import Schema, SchemaField
from lakehouse.engine.embedded.manifest import fingerprint, is_stale
from lakehouse.lake.gold import build_plan, build_record
from lakehouse.lake.gold.build_plan import plan_build
from lakehouse.lake.gold.build_record import BuildPlan, BuildRecord, SilverPin
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.accepted import PROPERTY, Accepted

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
        plan.columns,
    )


def plan(paths: LakePaths, previous: BuildPlan | None = None, **options: object) -> BuildPlan:
    options = {"project": "p", "lake_id": "lake"} | options
    return plan_build(paths, ["retail", "sales"], previous and record(previous), **options)  # type: ignore[arg-type]


def write_and_plan(paths: LakePaths, rows: pa.Table, previous: BuildPlan | None = None) -> BuildPlan:
    path = paths.silver("sales")
    write_deltalake(path, rows, mode="append", partition_by=["event_date"], schema_mode="merge")
    return plan(paths, previous)


def test_first_build_takes_everything_and_leaves_out_streams_without_silver(paths: LakePaths) -> None:
    write(paths, DAYS)

    first = plan(paths)

    assert first.mode == "full"
    columns = {"n": "bigint", "event_date": "date"}
    shown = {"version": 0, "touched": None, "columns": columns, "public": [], "renamed": {}, "dropped": []}
    assert json.loads(first.as_json()) == {"sales": {**shown, "nullable": []}}


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


def test_a_type_that_silver_widened_computes_all_anew_and_a_new_column_does_not(paths: LakePaths) -> None:
    first = write_and_plan(paths, pa.table({"n": pa.array([1], pa.int32()), "event_date": DAYS[:1]}))
    more = pa.table({"n": pa.array([1], pa.int32()), "more": [1], "event_date": DAYS[1:2]})
    second = write_and_plan(paths, more, first)
    wider = pa.table({"n": pa.array([2**40], pa.int64()), "more": [1], "event_date": DAYS[1:2]})
    write_deltalake(paths.silver("sales"), wider, mode="overwrite", schema_mode="overwrite")

    assert (first.mode, second.mode, plan(paths, second).mode) == ("full", "incremental", "full")


def test_a_column_that_the_contract_dropped_computes_all_anew_once(paths: LakePaths) -> None:
    first = write_and_plan(paths, pa.table({"n": [1], "m": [1], "event_date": DAYS[:1]}))
    shape = Schema(
        fields=(SchemaField(name="n", type="long", nullable=False, keys=("n",)),), key=("n",), event_time="t"
    )
    accepted = Accepted(version=2, shape=shape, retired={"m": ("m",), "former": ("n",)})
    table = DeltaTable(paths.silver("sales"))
    table.alter.set_table_properties({PROPERTY: accepted.model_dump_json()}, raise_if_not_exists=False)

    second = plan(paths, first)

    assert (second.pins["sales"].dropped, second.pins["sales"].renamed) == (["m"], {"former": "n"})
    assert (second.mode, plan(paths, second).mode) == ("full", "unchanged")


def test_a_column_that_may_be_empty_now_computes_all_anew_once(paths: LakePaths) -> None:
    def promise(nullable: bool) -> None:
        # Key and event time are never empty, whatever a contract says of them.
        fields = tuple(
            SchemaField(name=name, type="long", nullable=optional, keys=(name,))
            for name, optional in (("n", True), ("m", nullable))
        )
        accepted = Accepted(version=2, shape=Schema(fields=fields, key=("n",), event_time="event_date"))
        properties = {PROPERTY: accepted.model_dump_json()}
        DeltaTable(paths.silver("sales")).alter.set_table_properties(properties, raise_if_not_exists=False)

    write_and_plan(paths, pa.table({"n": [1], "m": [1], "event_date": DAYS[:1]}))
    promise(nullable=False)
    first = plan(paths)
    promise(nullable=True)
    second = plan(paths, first)
    assert (first.pins["sales"].nullable, second.pins["sales"].nullable) == ([], ["m"])
    assert (second.mode, plan(paths, second).mode) == ("full", "unchanged")


def test_too_many_dates_are_one_pass(paths: LakePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    write(paths, DAYS[:1])
    first = plan(paths)
    write(paths, DAYS)
    monkeypatch.setattr(build_plan, "MAX_TOUCHED_DATES", 2)

    assert plan(paths, first).pins["sales"].touched is None


def test_record_survives_in_the_gold_file(tmp_path: Path) -> None:
    gold = tmp_path / "gold.duckdb"
    pin = SilverPin(3, None, {"2026-01-01": "abc"})
    built = BuildPlan("full", {"o'sales": pin}, "p", None, {"o'sales": {"n": "bigint"}})
    when = dt.datetime(2026, 5, 1, 12, 30, tzinfo=dt.UTC)
    assert build_record.read_record(gold) is None
    with duckdb.connect(str(gold)) as connection:
        connection.execute("create table other (n int)")
    assert build_record.read_record(gold) is None

    with duckdb.connect(str(gold)) as connection:
        build_record.write_record(connection, built, built_at=when, invocation_id="first", warned={"no more"})
        when += dt.timedelta(seconds=1)
        build_record.write_record(connection, built, built_at=when, invocation_id="second", warned={"unique"})

    found = build_record.read_record(gold)
    assert found == BuildRecord(
        when,
        None,
        "p",
        "second",
        {"o'sales": 3},
        {"o'sales": {"2026-01-01": "abc"}},
        {"o'sales": {"n": "bigint"}},
        frozenset({"unique"}),
    )


def test_record_without_any_silver_still_says_when(tmp_path: Path) -> None:
    gold = tmp_path / "gold.duckdb"
    when = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    with duckdb.connect(str(gold)) as connection:
        build_record.write_record(connection, BuildPlan("full", {}, "p", "lake"), built_at=when, invocation_id="x")

    found = build_record.read_record(gold)

    assert found is not None
    assert (found.built_at, found.versions) == (when, {})


def test_project_fingerprint_follows_models_tests_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: x", encoding="utf-8")
    found = [fingerprint(tmp_path, "key"), fingerprint(tmp_path, "other key")]
    for name in ("models/a.sql", "tests/generic/holds.sql", "profiles.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("select 1", encoding="utf-8")
        found.append(fingerprint(tmp_path, "key"))

    assert len(set(found)) == 5


def test_a_manifest_of_another_project_is_stale_whatever_its_time(tmp_path: Path) -> None:
    manifest = tmp_path / "target" / "manifest.json"
    (tmp_path / "dbt_project.yml").write_text("name: x", encoding="utf-8")
    manifest.parent.mkdir()
    manifest.write_text("{}", encoding="utf-8")
    assert is_stale(tmp_path, manifest), "nobody knows what it was made of"
    manifest.with_name("made_of").write_text(fingerprint(tmp_path), encoding="utf-8")
    assert not is_stale(tmp_path, manifest)

    model = tmp_path / "models" / "a.sql"
    model.parent.mkdir()
    model.write_text("select 1", encoding="utf-8")
    os.utime(model, (0, 0))
    assert is_stale(tmp_path, manifest)


def test_rows_that_may_have_gone_are_told_from_rows_that_came(paths: LakePaths) -> None:
    write(paths, DAYS)
    first = plan(paths)
    write(paths, [DAYS[1]])
    more = plan(paths, first)
    assert (more.changed, more.loses_rows) == ({"sales"}, False)

    DeltaTable(paths.silver("sales")).delete("event_date = '2026-01-03'")
    write(paths, [DAYS[1]])
    assert plan(paths, first).loses_rows
    deleted = plan(paths)
    write(paths, [DAYS[1]])
    assert not plan(paths, deleted).loses_rows
    DeltaTable(paths.silver("sales")).create_checkpoint()
    for version in range(4):
        (Path(paths.silver("sales")) / "_delta_log" / f"{version:020d}.json").unlink()
    assert plan(paths, deleted).loses_rows, "the log does not tell any more"


def test_a_table_that_was_restored_to_the_same_version_has_changed(paths: LakePaths) -> None:
    write(paths, DAYS)
    first = plan(paths)
    shutil.rmtree(paths.silver("sales"))
    write(paths, DAYS[:2])

    again = plan(paths, first)

    assert (again.mode, again.changed, again.loses_rows) == ("incremental", {"sales"}, True)
    assert again.pins["sales"].touched == [day.isoformat() for day in DAYS]


def test_single_models_built_again_leave_the_record_of_project_and_columns(paths: LakePaths) -> None:
    """The others are not of today's project: the next build computes them."""
    write(paths, DAYS)
    first = plan(paths)

    frozen = plan(paths, first, project="edited", full_refresh=True, frozen=True)

    assert (frozen.project, frozen.columns) == (first.project, first.columns)
    assert plan(paths, frozen, project="edited").mode == "full"
