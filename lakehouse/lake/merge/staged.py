"""Staged rows: judged rows written once, as files that silver can adopt as they are, and as rejects beside them.

Here: writing them, what they hold. Not here: which of them win (`rivals`), the commit (`adopt`).

A file of valid rows has columns more than the table, nearly always null; readers take what the table's schema names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.lake.log.staging import partition_of, stage_rows, staging_folder
from lakehouse.lake.schema.tables import silver_types
from lakehouse.transforms.events import VERDICTS
from lakehouse.transforms.rejects import staged_struct

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FATE = "_fate"
VALID, REJECTED, IGNORED = "valid", "rejected", "ignored"
# The verdicts of a row are one column, and null where there is nothing to say.
_BETWEEN = ";"
_NOTHING = _BETWEEN * (len(VERDICTS) - 1)
# DuckDB's SQL for the first of them, the names of the conditions for which a reject is one.
BROKEN = f"split_part(_verdict, '{_BETWEEN}', 1)"


class Verdict(NamedTuple):
    """So many rows of one fate and event date (ISO) that broke the same conditions, told by names with commas.

    A reject may have no event date.
    """

    fate: str
    broken: str
    failed: str
    warned: str
    day: str
    rows: int


@dataclass(frozen=True)
class Staged:
    """Rows of one stream, staged in `folder`."""

    contract: StreamContract
    table: Path
    folder: Path

    def files(self, fate: str) -> list[Path]:
        """The files that hold rows of this fate."""
        return sorted(self.root(fate).rglob("*.parquet"))

    def root(self, fate: str) -> Path:
        """Where the partitions of rows of this fate begin."""
        return self.folder / f"{FATE}={fate}"

    def partition_of(self, file: Path) -> dict[str, str | None]:
        """The partition values of a file of valid rows, as Delta's log writes them."""
        return partition_of(file, self.root(VALID))

    def valid(self, spark: "SparkSession") -> "DataFrame":
        """The valid rows in the shape of silver."""
        types = silver_types(self.contract)
        root = self.root(VALID)
        columns = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
        rows = spark.read.schema(columns).option("basePath", str(root)).parquet(str(root))
        return rows.select(*(f"`{name}`" for name in types))

    def verdicts(self) -> list[Verdict]:
        """How many rows there are of each fate, with each set of broken conditions, on each event date."""
        files = [str(file) for fate in (VALID, REJECTED, IGNORED) for file in self.files(fate)]
        if not files:
            return []
        day = "_day" if self.contract.is_cdc else "event_date"
        query = f"""
            select {FATE}, coalesce(_verdict, '{_NOTHING}'), coalesce({day}, ''), count(*)
            from read_parquet([{", ".join(map(literal, files))}], hive_partitioning = true, hive_types_autocast = false)
            group by all
        """  # noqa: S608 - our own files, quoted
        with lasting_delta_connection() as connection:
            found = connection.execute(query).fetchall()
        return [Verdict(fate, *_three(verdict), day, rows) for fate, verdict, day, rows in found]


@contextmanager
def staging(contract: StreamContract, table: str) -> Iterator[Staged]:
    """A folder for rows of this stream; gone afterwards, with whatever was not adopted."""
    with staging_folder(table) as folder:
        yield Staged(contract, Path(table), folder)


def stage(judged: "DataFrame", staged: Staged, *, few: bool, fetch: bool = False) -> None:
    """Compute the judged rows, once, into files: valid ones by silver's partitions, rejects by themselves.

    Args:
        judged: Rows as `transforms.events.judge` leaves them.
        staged: Where to.
        few: There are so few rows that one task, and so one file per partition, is best.
        fetch: See `stage_rows`.

    Raises:
        SparkUnreachableError, DiskFullError: as they say.
    """
    contract = staged.contract
    rows = _rows(judged, contract)
    stage_rows(
        rows if fetch or not few else rows.coalesce(1),
        staged.folder,
        [FATE, *contract.partition_columns],
        fetch=fetch,
        without_dictionary=_hardly_repeating(contract),
    )


def _three(verdict: str) -> tuple[str, str, str]:
    broken, failed, warned = verdict.split(_BETWEEN)
    return broken, failed, warned


def _rows(judged: "DataFrame", contract: StreamContract) -> "DataFrame":
    """The rows with all that becomes of them: silver's columns, what quarantine wants besides, the verdict, fate.

    A valid row has the table's types, so that its readers find what the log says. What a reject has in a partition
    column may name no folder.
    """
    passes = f"WHEN _op = 't' THEN '{IGNORED}' " if contract.ignores_truncates else ""
    types = silver_types(contract)
    values = {
        name: f"CASE WHEN _broken = '' THEN cast(`{name}` AS {kind}) END"
        if name in contract.partition_columns
        else f"`{name}`"
        for name, kind in types.items()
    }
    is_said = " OR ".join(f"{name} != ''" for name in VERDICTS)
    return judged.selectExpr(
        *(f"cast({values[name]} AS {kind}) AS `{name}`" for name, kind in types.items()),
        *(["cast(event_date AS string) AS _day"] if contract.is_cdc else []),
        f"{staged_struct(contract)} AS _reject",
        f"CASE WHEN {is_said} THEN concat_ws('{_BETWEEN}', {', '.join(VERDICTS)}) END AS _verdict",
        f"CASE WHEN _broken != '' THEN '{REJECTED}' {passes}ELSE '{VALID}' END AS {FATE}",
    )


def _hardly_repeating(contract: StreamContract) -> set[str]:
    """Columns of values that hardly repeat: a dictionary of them is built for nothing."""
    return {*contract.unique, contract.event_time, "_offset"} - set(contract.partition_columns)
