"""One step of the speed layer: silver's new rows into each result, with the position in the same commit.

Here: the step. Not here: what the results are (`lake.speed.results`), where to go on (`lake.speed.position`), the
real-time view store (`lake.speed.publish`).

A speed table is a function of silver: of its rows and of the bronze batch that each of them came in. So it does not
matter in how many steps it is reached, and a step that died is simply taken again.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import MANY_ROWS, MANY_ROWS_ONCE, expect_rows, materialised, spark_errors
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.ledger import commit_at, current_version, offsets_read
from lakehouse.lake.log.actions import adds_of_partition, rows_of
from lakehouse.lake.log.append import append
from lakehouse.lake.log.staging import stage_rows, staging_folder
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.tables import STATS_COLUMNS, create_table
from lakehouse.lake.speed.dimensions import UNKNOWN, user_segments
from lakehouse.lake.speed.position import Advance, Position, next_advance, position_of
from lakehouse.lake.speed.results import STREAM, TIME, Result
from lakehouse.settings import Settings
from lakehouse.transforms.joins import with_dimension
from lakehouse.transforms.watermarks import newest, tops_by_batch, watermark, watermarks_by_batch, with_lateness

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What the results are made of.
READ = ("_batch", TIME, "user_id", "event_type", "revenue")
_PARTITIONS = ["day", "is_open"]
_STATS = ["_step"]


@dataclass(frozen=True)
class SpeedReport:
    """One committed step of one speed table. `watermark` is in microseconds since 1970; `late` counts this step's."""

    table: str
    step: int
    through: int
    rows: int
    late: int
    watermark: int | None
    is_rebuild: bool
    seconds: float
    delta_version: int


class SpeedWriter:
    """Brings speed tables up to silver.

    Args:
        settings: Which lake.
        spark: The session.
    """

    def __init__(self, settings: Settings, spark: "SparkSession") -> None:
        self._settings = settings
        self._spark = spark
        self._paths = LakePaths.of(settings)
        self._rows: tuple[Advance, DataFrame, dict[int, int], int] | None = None

    def step(self, result: Result) -> SpeedReport | None:
        """Take one step; None when silver has nothing new.

        Raises:
            BatchConflictError: another writer was faster; start again.
            SparkUnreachableError: Spark went away; the next step tells what is committed.
        """
        began = time.monotonic()
        path = self._paths.speed(result.name)
        # First of all: whoever takes a step from now on makes our commit fail.
        read = current_version(path)
        position = position_of(path)
        advance = next_advance(self._paths.silver(STREAM), position)
        if advance is None:
            return None
        before = None if advance.is_rebuild else position
        with spark_errors():
            expect_rows(self._spark, 0)
            rows, tops, count = self._new_rows(advance)
            if count == 0 and before is not None:
                return None
            seen = newest(tops, before.seen if before else None)
            marks = watermarks_by_batch(tops, before.seen if before else None, result.delay)
            flagged = materialised(with_lateness(rows, marks, time=TIME, batch="_batch"))
            late = flagged.where("is_late").count() if marks else 0
            step = _first_step(path) if position is None else position.step + 1
            mine = Position(
                step=step,
                silver_id=advance.silver_id,
                silver_version=advance.silver_version,
                through=advance.through,
                seen=seen,
                late=late + (before.late if before else 0),
                rebuilt=before.rebuilt if before else step,
            )
            if read is None:
                create_table(path, _stored(result), _PARTITIONS, {STATS_COLUMNS: ",".join(_STATS)})
                read = 0
            version = self._commit(result, read, flagged.where("NOT is_late"), count, before, mine)
        settle(path, commit_at(path, version), self._settings)
        return SpeedReport(
            table=result.name,
            step=mine.step,
            through=mine.through,
            rows=count,
            late=late,
            watermark=watermark(seen, result.delay),
            is_rebuild=before is None,
            seconds=time.monotonic() - began,
            delta_version=version,
        )

    def _new_rows(self, advance: Advance) -> tuple["DataFrame", dict[int, int], int]:
        """Silver's rows of these batches, the newest time in each, and how many; tables at one position share them."""
        if self._rows is None or self._rows[0] != advance:
            if advance.is_rebuild:
                expect_rows(self._spark, offsets_read(self._paths.bronze(STREAM)), many=MANY_ROWS_ONCE)
            silver = (
                self._spark.read.format("delta")
                .option("versionAsOf", advance.silver_version)
                .load(self._paths.silver(STREAM))
                .where(f"_batch > {advance.after} AND _batch <= {advance.through}")
                .select(*READ)
            )
            rows = materialised(silver)
            count = rows.count()
            expect_rows(self._spark, count)
            self._rows = (advance, rows, tops_by_batch(rows, time=TIME, batch="_batch"), count)
        expect_rows(self._spark, self._rows[3])
        return self._rows[1:]

    def _commit(
        self, result: Result, read: int, on_time: "DataFrame", count: int, before: Position | None, mine: Position
    ) -> int:
        """Replace the open rows, and add to the closed ones what has just been closed, in one commit after `read`."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

        if result.segments:
            on_time = with_dimension(on_time, user_segments(self._spark, self._paths), on="user_id", unknown=UNKNOWN)
        parts = result.parts(on_time.withColumn("_step", F.expr(f"{mine.step}L")))
        path = self._paths.speed(result.name)
        if before is not None:
            held = self._spark.read.format("delta").option("versionAsOf", read).load(path).where("is_open")
            parts = result.merge(parts.unionByName(held.select(*parts.columns)))
        rows = parts.selectExpr("*", f"{is_open(result, mine.seen)} AS is_open", f"{result.day} AS day")
        # A row that closes changes by that, also when none of its events came in this step.
        rows = rows.withColumn("_step", F.expr(f"CASE WHEN is_open THEN _step ELSE {mine.step}L END"))
        rows = rows.selectExpr(*(f"cast(`{name}` AS {kind}) AS `{name}`" for name, kind in _stored(result).items()))
        replaced = adds_of_partition(Path(path), read, {} if before is None else {"is_open": "true"})
        few = count + sum(map(rows_of, replaced)) < MANY_ROWS
        with staging_folder(path) as folder:
            stage_rows(rows.coalesce(1), folder, _PARTITIONS, fetch=few)
            crash_point("speed_before_commit")
            version = append(
                Path(path),
                folder,
                read,
                mine.to_metadata(result.name),
                transaction=(f"speed/{result.name}", mine.step),
                stats=_STATS,
                instead_of=replaced,
            )
        crash_point("speed_after_commit")
        return version


def is_open(result: Result, seen: int | None) -> str:
    """SQL: may this row still change, when `seen` is the highest event time so far (microseconds since 1970)?"""
    mark = watermark(seen, result.delay)
    return "true" if mark is None else f"unix_micros({result.closes_at}) > {mark}"


def _stored(result: Result) -> dict[str, str]:
    """Columns and Spark types of the result's table."""
    return {**result.columns, **result.hidden, "_step": "bigint", "is_open": "boolean", "day": "date"}


def _first_step(path: str) -> int:
    """The step of a table that tells no position: one more than Delta remembers, when it does."""
    if not table_exists(path):
        return 1
    from deltalake import DeltaTable

    table = DeltaTable(path, without_files=True)
    return int(table.transaction_version(f"speed/{path.rsplit('/', 1)[1]}") or 0) + 1
