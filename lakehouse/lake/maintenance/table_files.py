"""The data files that a Delta table consists of right now, with sizes and deleted rows: the statistics of maintenance.

Here: reading them out of the Delta log, no JVM. Not here: what should be done about them
(`lake.maintenance.compaction_plan`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lakehouse.engine.duck import delta_connection, literal

Partition = tuple[str, ...]


@dataclass(frozen=True)
class DataFile:
    """One active file. `partition` holds the partition columns' values in order, dates as ISO; empty without any."""

    name: str
    partition: Partition
    size: int
    rows: int
    deleted: int = 0


@dataclass(frozen=True)
class TableStats:
    """A table's files counted.

    Attributes:
        files: Data files that a reader opens.
        bytes: Their size.
        rows: Rows in them that are not deleted.
        deleted_rows: Rows in them that a deletion vector hides.
        most_per_partition: Files of the partition that has most of them.
    """

    files: int
    bytes: int
    rows: int
    deleted_rows: int
    most_per_partition: int

    @classmethod
    def of(cls, files: Iterable[DataFile]) -> "TableStats":
        """Count the files."""
        listed = list(files)
        per_partition = Counter(file.partition for file in listed)
        deleted = sum(file.deleted for file in listed)
        return cls(
            files=len(listed),
            bytes=sum(file.size for file in listed),
            rows=sum(file.rows for file in listed) - deleted,
            deleted_rows=deleted,
            most_per_partition=max(per_partition.values(), default=0),
        )


def data_files(path: str) -> list[DataFile]:
    """The active files of the table's newest version."""
    import pyarrow as pa
    from deltalake import DeltaTable

    table = DeltaTable(path)
    columns = table.metadata().partition_columns
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    deleted = _deleted_rows(path, table.version())
    return [
        DataFile(
            name=Path(action["path"]).name,
            partition=tuple(str(action[f"partition.{column}"]) for column in columns),
            size=action["size_bytes"],
            rows=action["num_records"] or 0,
            deleted=deleted.get(Path(action["path"]).name, 0),
        )
        for action in actions
    ]


def _deleted_rows(path: str, version: int) -> dict[str, int]:
    """Rows hidden by a deletion vector, per file name; delta-rs does not tell their number."""
    sql = (
        f"select data_file, delete_count from delta_list_files({literal(path)}, version => {version}, "  # noqa: S608 - our own path, quoted
        "delete_count => true) where have_deletes"
    )
    with delta_connection() as connection:
        return {Path(file).name: int(count or 0) for file, count in connection.execute(sql).fetchall()}
