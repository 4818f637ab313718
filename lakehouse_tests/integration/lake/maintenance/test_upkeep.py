"""Maintenance of tables made by many small batches: fewer files, the same rows, nothing gone that anybody needs."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine.duck import delta_connection
from lakehouse.errors import ForeignLakeError, SettingsError, UsageError
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.ledger import current_version, last_commit_of, last_plan, merged_through, read_commit
from lakehouse.lake.maintenance import upkeep
from lakehouse.lake.maintenance.compaction_plan import ENOUGH_SMALL
from lakehouse.lake.maintenance.needed import needed_version
from lakehouse.lake.maintenance.table_files import TableStats, data_files
from lakehouse.lake.maintenance.upkeep import maintain_events, maintain_stream
from lakehouse.lake.maintenance.vacuum import trim_log, vacuum
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.tables import KEEP_LOG_DAYS
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.streams import encode, sale, sales_on, send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
LAYERS = ("bronze", "silver", "quarantine")
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def events(first: int, count: int) -> list[bytes]:
    """Sales of today and yesterday; every fifth is broken, every seventh is sent twice."""
    values = []
    for number in range(first, first + count):
        changes = {"quantity": 0} if number % 5 == 0 else {}
        value = encode(sale(number, at=YESTERDAY if number % 3 == 0 else None, category="Books", **changes))
        values += [value] * (2 if number % 7 == 0 else 1)
    return values


def load(settings: Settings, contract: StreamContract, values: list[bytes], rows: int) -> None:
    """Send and drain in micro-batches of so many rows."""
    send(settings, contract.topic.name, values)
    small = settings.model_copy(update={"max_batch_rows": rows})
    drain(contract, small, budget_seconds=240, idle_seconds=0)


def rows_of(path: str, version: int) -> Counter[tuple[Any, ...]]:
    """All rows of a version, as gold reads them."""
    with delta_connection() as duck:
        return Counter(map(repr, duck.execute(f"from delta_scan('{path}', version => {version})").fetchall()))


def paths_of(settings: Settings, contract: StreamContract) -> dict[str, str]:
    return {layer: getattr(LakePaths.of(settings), layer)(contract.name) for layer in LAYERS}


def version_of(path: str) -> int:
    version = current_version(path)
    assert version is not None
    return version


def age(file: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(file, (then, then))


@pytest.fixture(scope="module")
def crowded(module_settings: Settings) -> StreamContract:
    """A stream that ten small batches made, and gold built from it."""
    contract = sales_on(module_settings, f"crowded_{os.getpid()}")
    load(module_settings, contract, events(0, 45), 5)
    builds.build(module_settings)
    return contract


def test_many_small_batches_become_few_files_and_the_same_rows(
    module_settings: Settings, crowded: StreamContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = paths_of(module_settings, crowded)
    before = {layer: (version_of(path), TableStats.of(data_files(path))) for layer, path in paths.items()}
    rows = {layer: rows_of(path, before[layer][0]) for layer, path in paths.items()}
    plan, through = last_plan(paths["bronze"]), merged_through(paths["silver"])
    assert all(stats.most_per_partition >= ENOUGH_SMALL for _, stats in before.values())

    command = [sys.executable, "-m", "lakehouse.cli.main", "maintain", crowded.name, "--dry-run", "--json"]
    planned = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert [bool(report["compacted"]) for report in planned] == [True, True, True]
    assert {layer: version_of(path) for layer, path in paths.items()} == {k: v[0] for k, v in before.items()}

    # A merge under way is not disturbed: maintenance waits for its lock, then leaves silver for the next time.
    monkeypatch.setattr(upkeep, "_LOCK_SECONDS", 0.1)
    with exclusive(silver_lock(module_settings, crowded.name), 10):
        first = {report.layer: report for report in maintain_stream(crowded, module_settings)}
    assert (first["silver"].compacted, list(first["silver"].postponed)) == ((), planned[1]["compacted"])
    second = {report.layer: report for report in maintain_stream(crowded, module_settings)}
    assert list(second["silver"].compacted) == planned[1]["compacted"]

    for layer, path in paths.items():
        version, stats = before[layer]
        after = second[layer].after
        print(f"{layer}: {stats.files} files ({stats.most_per_partition} in a partition) → {after.files}")
        assert after.most_per_partition == 1
        assert (after.rows, after.deleted_rows) == (sum(rows[layer].values()), 0)
        assert rows_of(path, version_of(path)) == rows[layer]
        assert rows_of(path, version) == rows[layer], "a version from before must stay readable"
    assert (last_plan(paths["bronze"]), merged_through(paths["silver"])) == (plan, through)

    report = verify(module_settings, [crowded])
    assert report.findings == []
    assert report.proofs[0].gold_version == before["silver"][0] < (report.proofs[0].silver_version or 0)
    assert _statistics(paths["silver"]) == {*crowded.key, crowded.event_time, "_batch"}


def _statistics(path: str) -> set[str]:
    """Columns of which the newest commit carries the smallest value: no personal data may be among them."""
    commit = read_commit(Path(path) / "_delta_log" / f"{version_of(path):020d}.json")
    return {column for stats in commit.added_stats for column in stats.get("minValues", {})}


def test_facts_are_compacted_too_and_tell_of_maintenance(
    module_settings: Settings, crowded: StreamContract, tmp_path: Path
) -> None:
    path = LakePaths.of(module_settings).events
    while len(data_files(path)) < ENOUGH_SMALL:
        maintain_stream(crowded, module_settings)
    facts = rows_of(path, version_of(path))
    report = maintain_events(module_settings)
    assert report is not None
    assert report.after.files == 1
    newest = rows_of(path, version_of(path))
    assert facts - newest == Counter()
    told = {layer for layer in (*LAYERS, "events") if any(f"'{layer}', 'maintenance'" in text for text in newest)}
    assert told == {*LAYERS, "events"}

    # A state folder that belongs to another lake.
    (tmp_path / "lake_id").write_text("another\n")
    foreign = module_settings.model_copy(update={"home": tmp_path})
    with pytest.raises(ForeignLakeError):
        maintain_events(foreign)
    with pytest.raises(ForeignLakeError):
        maintain_stream(crowded, foreign)


def test_vacuum_deletes_only_what_is_old_enough(
    module_settings: Settings, crowded: StreamContract, spark: "SparkSession"
) -> None:
    """What a running writer has just written stays; what a killed one left behind a week ago goes."""
    bronze = Path(LakePaths.of(module_settings).bronze(crowded.name))
    day = next(bronze.glob("arrival_date=*"))
    young, old = day / "part-young.parquet", day / "part-old.parquet"
    for file in (young, old):
        file.write_bytes(b"x" * 100)
    age(young, 6.9)
    age(old, 7.1)
    live = {file.name for file in data_files(str(bronze))}

    told = maintain_stream(crowded, module_settings, dry_run=True)
    assert [report.vacuumed_files for report in told] == [1, 0, 0]
    linked = module_settings.home / "linked"
    linked.symlink_to(bronze)
    assert vacuum(spark, str(linked), 168, dry_run=True).files == 1, "a table may lie behind a link"
    assert old.exists()

    for hours in (0, 167):
        with pytest.raises(SettingsError, match="168"):
            load_settings(LAKEHOUSE_VACUUM_HOURS=hours)
        with pytest.raises(UsageError, match="168 hours at least"):
            maintain_stream(crowded, module_settings.model_copy(update={"vacuum_hours": hours}))
    assert vacuum(spark, str(bronze), 200).files == 0, "a longer retention holds"
    assert old.exists()

    told = maintain_stream(crowded, module_settings)
    assert [(report.vacuumed_files, report.vacuumed_bytes) for report in told] == [(1, 100), (0, 0), (0, 0)]
    assert [(report.compacted, report.purged) for report in told] == [((), ())] * 3, "nothing is left to do"
    assert (young.exists(), old.exists()) == (True, False)
    assert live <= {file.name for file in day.iterdir()}


def test_vacuum_spares_the_version_that_gold_shows(
    module_settings: Settings, crowded: StreamContract, spark: "SparkSession"
) -> None:
    """Gold stands at a version that compaction replaced more than a week ago: its files stay until gold is built."""
    silver = LakePaths.of(module_settings).silver(crowded.name)
    build = builds.last_build(module_settings)
    assert build is not None
    pinned = build.versions[crowded.name]
    assert pinned < version_of(silver)
    orphan = Path(silver) / "part-old.parquet"
    orphan.write_bytes(b"x")
    age(orphan, 8)
    _backdate(Path(silver), pinned + 1, days=8)
    for version in range(pinned + 1):
        age(Path(silver) / "_delta_log" / f"{version:020d}.json", 9)
    report = maintain_stream(crowded, module_settings)[1]
    assert f"version {pinned}" in report.held_back
    assert orphan.exists()
    assert verify(module_settings, [crowded]).findings == [], "verify reads gold's version, older than the retention"
    assert vacuum(spark, silver, 168, pinned=version_of(silver)).files == 1


def _backdate(table: Path, version: int, days: float) -> None:
    """Let a commit be older than it is."""
    file = table / "_delta_log" / f"{version:020d}.json"
    made = read_commit(file).committed_at.timestamp()
    text = file.read_text().replace(str(round(made * 1000)), str(round((made - days * 86_400) * 1000)), 1)
    file.write_text(text)
    (file.parent / f".{file.name}.crc").unlink()


def test_old_commits_go_except_what_the_ledger_needs(
    module_settings: Settings, crowded: StreamContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = LakePaths.of(module_settings)
    bronze = paths.bronze(crowded.name)
    log = Path(bronze) / "_delta_log"
    rows, plan = rows_of(bronze, version_of(bronze)), last_plan(bronze)
    assert plan is not None
    for file in log.glob("*.json"):
        age(file, KEEP_LOG_DAYS + 1)
    needed = needed_version("bronze", paths, crowded.name, None)
    newest = last_commit_of(bronze, "bronze")
    assert newest is not None
    assert needed == newest.version

    with monkeypatch.context() as patch:
        patch.setattr("lakehouse.lake.maintenance.needed.merged_through", lambda _: plan[0].batch - 3)
        assert needed_version("bronze", paths, crowded.name, None) == needed - 3, "silver has yet to read the rest"
    assert needed_version("silver", paths, crowded.name, 3) == 3
    assert (needed_version("quarantine", paths, crowded.name, None) or 0) > 3

    held = sorted(log.iterdir())
    assert trim_log(bronze, None, KEEP_LOG_DAYS) == 0
    assert trim_log(bronze, 9, KEEP_LOG_DAYS) == 0, "no checkpoint lies before version 9"
    assert trim_log(bronze, needed, KEEP_LOG_DAYS + 2) == 0
    assert sorted(log.iterdir()) == held

    reports = maintain_stream(crowded, module_settings)
    assert [report.log_files > 0 for report in reports] == [True, False, False]
    left = sorted(int(file.stem) for file in log.glob("*.json"))
    assert left == list(range(10, version_of(bronze) + 1))
    assert rows_of(bronze, version_of(bronze)) == rows
    assert last_plan(bronze) == plan

    from deltalake import DeltaTable

    for layer in LAYERS:
        configuration = DeltaTable(getattr(paths, layer)(crowded.name)).metadata().configuration
        assert configuration["delta.enableExpiredLogCleanup"] == "false"


@pytest.mark.slow
def test_a_column_added_before_compaction_keeps_old_and_new_values(
    settings: Settings, topic_name: Callable[[str], str], spark: "SparkSession"
) -> None:
    """The pipeline stops, its contract gets a field, it runs on, then small files of both kinds are put together."""
    contract = sales_on(settings, topic_name("widened"))
    old = [sale(n, category="Books") for n in range(9)]
    load(settings, contract, [encode(event) for event in old], 3)
    coupon = FieldSpec(name="coupon", type="string", description="Code of a voucher.", nullable=True)
    wider = contract.model_copy(update={"fields": [*contract.fields, coupon]})
    new = [sale(n, category="Books", coupon=f"C{n}") for n in range(100, 109)]
    load(settings, wider, [encode(event) for event in new], 3)
    silver = LakePaths.of(settings).silver(contract.name)
    version = version_of(silver)

    report = {done.layer: done for done in maintain_stream(wider, settings)}["silver"]
    assert report.before.files > report.after.files
    with delta_connection() as duck:
        found = duck.execute(f"select order_id, product_id, coupon from delta_scan('{silver}')").fetchall()
    wanted = [(event["order_id"], event["product_id"], event.get("coupon")) for event in (*old, *new)]
    assert sorted(found) == sorted(wanted)
    assert rows_of(silver, version) == rows_of(silver, version_of(silver))
    assert verify(settings, [wider]).findings == []

    spark.sql(f"DELETE FROM delta.`{silver}` WHERE coupon IS NULL").collect()
    assert TableStats.of(data_files(silver)).deleted_rows == 9
    report = {done.layer: done for done in maintain_stream(wider, settings)}["silver"]
    assert (len(report.purged), report.after.rows, report.after.deleted_rows) == (1, 9, 0)
