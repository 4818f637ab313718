"""Maintenance of a lake's tables: compact, purge deleted rows, vacuum, trim the log; a report and a fact for each.

Here: the order of the work on one table. Not here: how each step is done (`compaction`, `vacuum`), what must stay
(`needed`), when it runs (`components.maintenance`, `cli.maintain`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect, expect_rows
from lakehouse.lake.batch import daily_views
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import Guard, LockBusyError, bronze_lock, exclusive, silver_lock, speed_lock
from lakehouse.lake.maintenance import compaction
from lakehouse.lake.maintenance.compaction_plan import crowded_days, hollow_days
from lakehouse.lake.maintenance.needed import gold_version, last_version, needed_version
from lakehouse.lake.maintenance.retention import NOTHING, Expired, expire
from lakehouse.lake.maintenance.table_files import DataFile, TableStats, data_files
from lakehouse.lake.maintenance.vacuum import Removed, require_retention, trim_log, vacuum, vacuum_events
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.tables import KEEP_LOG_DAYS
from lakehouse.lake.speed import results as speed
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class TableReport:
    """What maintenance did to one table, or, in a dry run, would do.

    Attributes:
        stream: The stream; "ops" for the table of facts.
        layer: bronze, silver, quarantine or events.
        before: Its files before.
        after: Its files after; as before in a dry run.
        compacted: Days whose small files were put together.
        purged: Days rewritten without their deleted rows.
        postponed: Days left for the next time because other writers kept coming first.
        vacuumed_files: Files deleted from disk.
        vacuumed_bytes: Their size.
        held_back: Why nothing was vacuumed although it could have been.
        log_files: Old files of the Delta log that were deleted.
        seconds: Time it took.
        expired: Arrival days that were deleted because the contract keeps them no longer, with their rows.
    """

    stream: str
    layer: str
    before: TableStats
    after: TableStats
    compacted: tuple[str, ...] = ()
    purged: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    vacuumed_files: int = 0
    vacuumed_bytes: int = 0
    held_back: str = ""
    log_files: int = 0
    seconds: float = 0.0
    expired: Expired = NOTHING


class _Table(NamedTuple):
    """A table to maintain: its first partition column, what to hold while it is rewritten, what gold reads of it.

    `needed_kind` is the kind of commit whose last one tells the table's own position, for tables made of silver.
    """

    stream: str
    layer: str
    path: str
    column: str = ""
    guard: Guard = nullcontext
    pinned: int | None = None
    needed_kind: str = ""


Report = Callable[[TableReport], None]


def maintain_stream(
    contract: StreamContract, settings: Settings, *, dry_run: bool = False, report: Report = lambda _: None
) -> list[TableReport]:
    """Maintain bronze, silver and quarantine of one stream, and what is made of its silver; drains may run meanwhile.

    Args:
        contract: The stream.
        settings: Lake, Spark, retention.
        dry_run: Write nothing; say what would be done.
        report: Called after each table.

    Raises:
        UsageError: the retention is too short.
        ForeignLakeError: the state folder belongs to another lake.
        SparkUnreachableError: Spark is away; what was committed stays.
    """
    require_retention(settings.vacuum_hours)
    paths = LakePaths.of(settings)
    layers = {
        "bronze": (paths.bronze(contract.name), "arrival_date"),
        "silver": (paths.silver(contract.name), next(iter(contract.partition_columns), "")),
        "quarantine": (paths.quarantine(contract.name), "arrival_date"),
        "history": (paths.history(contract.name), ""),
    }
    present = {layer: table for layer, table in layers.items() if table_exists(table[0])}
    made = _made_of(contract.name, settings, paths)
    if not present and not made:
        return []
    if not dry_run:
        require_lake(settings)
    reports = []
    spark = connect(settings.spark_remote)

    def work(table: _Table, needed: Callable[[], int | None]) -> None:
        gone = _expired(spark, contract, table, settings, dry_run=dry_run)
        done = replace(_maintain(spark, table, settings, dry_run=dry_run), expired=gone)
        if gone.days and not dry_run:
            write_facts(paths, [Fact(table.stream, table.layer, "retention", rows=gone.rows, details=asdict(gone))])
        if not dry_run:
            done = replace(done, log_files=trim_log(table.path, needed(), KEEP_LOG_DAYS))
            write_facts(paths, [_fact(done)])
        reports.append(done)
        report(done)

    try:
        for layer, (path, column) in present.items():
            # What commits of our own go into Spark may only rewrite while nobody makes one: it looks and renames in
            # two steps. And a step that lost its race would be judged again.
            lock = bronze_lock if layer == "bronze" else silver_lock
            guard = _guard(lock(settings, contract.name))
            pinned = gold_version(settings, layer, contract.name)
            table = _Table(contract.name, layer, path, column, guard, pinned)
            work(table, partial(needed_version, layer, paths, contract.name, pinned))
        for table in made:
            work(table, partial(last_version, table.path, table.needed_kind))
    finally:
        spark.stop()
    return reports


def maintain_events(settings: Settings, *, dry_run: bool = False) -> TableReport | None:
    """Maintain `ops/events`; None when the lake has none. Needs no Spark.

    Raises:
        UsageError: the retention is too short.
        ForeignLakeError: the state folder belongs to another lake.
    """
    return _without_spark(_Table("ops", "events", LakePaths.of(settings).events), settings, dry_run=dry_run)


def maintain_records(settings: Settings, *, dry_run: bool = False) -> list[TableReport]:
    """Maintain results and statistics of checks and the audit table, those that exist. Raises as `maintain_events`."""
    paths = LakePaths.of(settings)
    tables = [
        _Table("quality", "results", paths.quality_results),
        _Table("quality", "statistics", paths.quality_statistics),
        _Table("ops", "audit", paths.audit),
    ]
    done = [_without_spark(table, settings, dry_run=dry_run) for table in tables]
    return [report for report in done if report is not None]


def _without_spark(table: _Table, settings: Settings, *, dry_run: bool) -> TableReport | None:
    """One of the tables that only delta-rs writes."""
    require_retention(settings.vacuum_hours)
    paths = LakePaths.of(settings)
    if not table_exists(table.path):
        return None
    began = time.monotonic()
    files = data_files(table.path)
    if dry_run:
        rewritten = compaction.Rewritten(list(crowded_days(files)), [])
    else:
        require_lake(settings)
        with settled(settings, table.path):
            rewritten = compaction.compact_events(table.path, files)
    removed = vacuum_events(table.path, settings.vacuum_hours, dry_run=dry_run)
    after = data_files(table.path) if rewritten.done and not dry_run else files
    done = _report(table, files, after, rewritten, compaction.Rewritten([], []), removed, began)
    if not dry_run:
        write_facts(paths, [_fact(done)])
    return done


def _made_of(stream: str, settings: Settings, paths: LakePaths) -> list[_Table]:
    """The tables of the speed and batch layers that this stream's silver becomes, those that exist."""
    if stream != speed.STREAM:
        return []
    tables = [
        _Table(result.name, "speed", paths.speed(result.name), "day", _guard(speed_lock(settings)), None, speed.KIND)
        for result in speed.RESULTS
    ]
    view = daily_views.VIEW
    guard = _guard(daily_views.batch_lock(settings))
    tables.append(_Table(view, "batch", paths.batch_view(view), "date", guard, None, daily_views.KIND))
    return [table for table in tables if table_exists(table.path)]


def _expired(
    spark: "SparkSession", contract: StreamContract, table: _Table, settings: Settings, *, dry_run: bool
) -> Expired:
    """What retention deleted; nothing when the table's writers are at work for long: the next run finds it again."""
    paths = LakePaths.of(settings)
    if dry_run or contract.retention.of(table.layer) is None:
        return expire(spark, contract, paths, table.layer, dry_run=dry_run)
    try:
        with table.guard(), settled(settings, table.path):
            return expire(spark, contract, paths, table.layer)
    except LockBusyError:
        return NOTHING


def _maintain(spark: "SparkSession", table: _Table, settings: Settings, *, dry_run: bool) -> TableReport:
    path, column, guard = table.path, table.column, table.guard
    began = time.monotonic()
    files = data_files(path)
    if dry_run:
        compacted = compaction.Rewritten(list(crowded_days(files)), [])
        purged = compaction.Rewritten([day for day in hollow_days(files) if day not in compacted.done], [])
        after = files
    else:
        expect_rows(spark, sum(file.rows for file in files))
        with settled(settings, path):
            compacted = compaction.compact(spark, path, column, crowded_days(files), guard)
            after = data_files(path) if compacted.done else files
            # Compaction leaves deleted rows behind by itself; only what it did not touch is left to purge.
            purged = compaction.purge(spark, path, column, hollow_days(after), guard)
        after = data_files(path) if purged.done else after
    removed = vacuum(spark, path, settings.vacuum_hours, guard=guard, pinned=table.pinned, dry_run=dry_run)
    return _report(table, files, after, compacted, purged, removed, began)


def _report(
    table: _Table,
    before: list[DataFile],
    after: list[DataFile],
    compacted: compaction.Rewritten,
    purged: compaction.Rewritten,
    removed: Removed,
    began: float,
) -> TableReport:
    return TableReport(
        stream=table.stream,
        layer=table.layer,
        before=TableStats.of(before),
        after=TableStats.of(after),
        compacted=tuple(compacted.done),
        purged=tuple(purged.done),
        postponed=tuple(dict.fromkeys([*compacted.postponed, *purged.postponed])),
        vacuumed_files=removed.files,
        vacuumed_bytes=removed.bytes,
        held_back=removed.held_back,
        seconds=time.monotonic() - began,
    )


def _guard(lock: Path) -> Guard:
    @contextmanager
    def hold() -> Iterator[None]:
        with exclusive(lock, _LOCK_SECONDS):
            yield

    return hold


def _fact(report: TableReport) -> Fact:
    details = asdict(report)
    known = {name: details.pop(name) for name in ("stream", "layer", "seconds")}
    return Fact(kind="maintenance", rows=report.after.rows, details=details, **known)
