"""Making a Delta table: its first commit, by us. Here: what it says. Not here: which tables (`lake.schema.tables`).

It says what Spark's CREATE TABLE says; that takes Spark a third of a second, and several seconds after a start.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from lakehouse.engine.storage import storage_errors
from lakehouse.errors import BatchConflictError
from lakehouse.lake.log.commit import Operation, commit
from lakehouse.lake.paths import table_exists

_VECTORS = "delta.enableDeletionVectors"
# What every reader and writer of Delta knows; and what those must know who meet deletion vectors.
PLAIN_WRITER = 2
_PLAIN = {"minReaderVersion": 1, "minWriterVersion": PLAIN_WRITER}
_WITH_VECTORS = {
    "minReaderVersion": 3,
    "minWriterVersion": 7,
    "readerFeatures": ["deletionVectors"],
    "writerFeatures": ["deletionVectors", "invariants", "appendOnly"],
}


@storage_errors()
def create(table: Path, schema: Mapping[str, Any], partitions: list[str], properties: Mapping[str, str]) -> None:
    """Make the table, unless there is one.

    Args:
        table: Where.
        schema: Its columns, as `columns.log_schema` gives them.
        partitions: Columns that its files are divided by.
        properties: The table's, Delta's own among them. Of those that ask for a table feature only deletion vectors
            are known.

    Raises:
        DiskFullError, SetupError: there is no place for it.
    """
    if table_exists(str(table)):
        return
    metadata = {
        "id": str(uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(schema, separators=(",", ":")),
        "partitionColumns": partitions,
        "configuration": dict(properties),
        "createdTime": int(time.time() * 1000),
    }
    protocol = _WITH_VECTORS if properties.get(_VECTORS) == "true" else _PLAIN
    (table / "_delta_log").mkdir(parents=True, exist_ok=True)
    try:
        commit(table, None, Operation("CREATE TABLE", {}, {}, True), [{"protocol": protocol}, {"metaData": metadata}])
    except BatchConflictError:
        # Made by another in this moment.
        if not table_exists(str(table)):
            raise
