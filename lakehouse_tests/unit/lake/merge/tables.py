"""A silver table and staged rows without a JVM: the log written by hand, the files by pyarrow."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.lake.merge.staged import FATE, VALID, Staged
from lakehouse.lake.schema.tables import silver_types, stats_columns

_DELTA_TYPES: dict[str, Any] = {
    "int": "integer",
    "bigint": "long",
    "array<bigint>": {"type": "array", "elementType": "long", "containsNull": True},
}


class Row(NamedTuple):
    """One staged sale: `order` is its key, `second` its event time within the day."""

    day: str
    category: str
    order: int
    second: int
    offset: int

    @property
    def at(self) -> datetime:
        """The event time."""
        return datetime.fromisoformat(self.day).replace(tzinfo=UTC, second=self.second)


def new_table(path: Path, contract: StreamContract) -> None:
    """Version 0 of an empty silver table."""
    log = path / "_delta_log"
    log.mkdir(parents=True)
    fields = [
        {"name": name, "type": _DELTA_TYPES.get(kind, kind), "nullable": True, "metadata": {}}
        for name, kind in silver_types(contract).items()
    ]
    protocol: dict[str, Any] = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
    metadata: dict[str, Any] = {
        "id": "0",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": contract.partition_columns,
        "configuration": {
            "delta.enableDeletionVectors": "true",
            "delta.dataSkippingStatsColumns": ",".join(stats_columns(contract)),
        },
    }
    actions = [{"commitInfo": {"operation": "CREATE TABLE"}}, {"protocol": protocol}, {"metaData": metadata}]
    (log / f"{0:020d}.json").write_text("\n".join(map(json.dumps, actions)))


def put(staged: Staged, rows: list[Row]) -> None:
    """Write the rows as Spark does: a file per partition, all files of a task under one name."""
    folders: dict[Path, list[Row]] = {}
    for row in rows:
        place = staged.folder / f"{FATE}={VALID}" / f"event_date={row.day}" / f"category={row.category}"
        folders.setdefault(place, []).append(row)
    for folder, group in folders.items():
        folder.mkdir(parents=True)
        numbers = {"_generation": [0] * len(group), "_partition": [0] * len(group)}
        columns = {
            "order_id": [f"order-{row.order:040d}" for row in group],
            "sale_timestamp": pa.array([row.at for row in group], pa.timestamp("us", "UTC")),
            "_topic_id": ["t"] * len(group),
            **{name: pa.array(values, pa.int32()) for name, values in numbers.items()},
            "_offset": [row.offset for row in group],
            "_batch": [0] * len(group),
        }
        pq.write_table(pa.table(columns), folder / "part-00000.zstd.parquet")


def seen(path: Path) -> set[tuple[str, str, int]]:
    """(event date, category, offset) of every row that a reader sees."""
    with lasting_delta_connection() as connection:
        query = f'select event_date::varchar, category, "_offset" from delta_scan({literal(str(path))})'
        rows = connection.execute(query).fetchall()
    assert len(rows) == len(set(rows))
    return set(rows)
