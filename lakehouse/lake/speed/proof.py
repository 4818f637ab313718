"""The proof that a speed table is what silver makes of it: computed once more in one go, and compared row by row.

Here: the comparison. Not here: bringing tables up to date (`lake.speed.run`), proofs of the other layers
(`lake.verify`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.engine.spark import MANY_ROWS_ONCE, connect, expect_rows, spark_errors
from lakehouse.lake.ledger import offsets_read
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.position import Position, position_of
from lakehouse.lake.speed.results import RESULTS, STREAM, TIME, Result
from lakehouse.lake.speed.writer import READ, is_open
from lakehouse.settings import Settings
from lakehouse.transforms.watermarks import tops_by_batch, watermarks_by_batch, with_lateness

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class SpeedProof:
    """One table against its recomputation. `missing` rows it lacks, `unexpected` rows it should not have."""

    table: str
    through: int
    rows: int
    late: int
    missing: int
    unexpected: int

    @property
    def holds(self) -> bool:
        """Whether both are the same."""
        return self.missing == 0 and self.unexpected == 0


def prove(settings: Settings, results: Iterable[Result] = RESULTS) -> list[SpeedProof]:
    """Compare the speed tables with what silver, as it was at their position, makes of them. Writes nothing.

    A table whose rows depend on a dimension is left out: it keeps what the dimension said at the time.

    Raises:
        SparkUnreachableError: Spark went away.
    """
    paths = LakePaths.of(settings)
    found = [(result, position_of(paths.speed(result.name))) for result in results if not result.segments]
    held = [(result, position) for result, position in found if position is not None]
    if not held:
        return []
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            expect_rows(spark, offsets_read(paths.bronze(STREAM)), many=MANY_ROWS_ONCE)
            return [_prove(spark, paths, result, position) for result, position in held]
    finally:
        spark.stop()


def _prove(spark: "SparkSession", paths: LakePaths, result: Result, position: Position) -> SpeedProof:
    stored = spark.read.format("delta").load(paths.speed(result.name))
    silver = spark.read.format("delta").option("versionAsOf", position.silver_version).load(paths.silver(STREAM))
    rows = silver.where(f"_batch <= {position.through}").select(*READ)
    marks = watermarks_by_batch(tops_by_batch(rows, time=TIME, batch="_batch"), None, result.delay)
    flagged = with_lateness(rows, marks, time=TIME, batch="_batch")
    wanted = result.parts(flagged.where("NOT is_late").selectExpr("*", "0L AS _step"))
    wanted = wanted.selectExpr("*", f"{is_open(result, position.seen)} AS is_open")
    columns = {**result.columns, **result.hidden, "is_open": "boolean"}

    def shaped(frame: "DataFrame") -> "DataFrame":
        return frame.selectExpr(*(f"cast(`{name}` AS {kind}) AS `{name}`" for name, kind in columns.items()))

    return SpeedProof(
        table=result.name,
        through=position.through,
        rows=stored.count(),
        late=flagged.where("is_late").count(),
        missing=shaped(wanted).exceptAll(shaped(stored)).count(),
        unexpected=shaped(stored).exceptAll(shaped(wanted)).count(),
    )
