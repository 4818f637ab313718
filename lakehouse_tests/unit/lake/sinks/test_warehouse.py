"""Bulk loads: DuckDB for real, Snowflake by the statements that a fake cursor takes down."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from lakehouse.cli.sink import app
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.sinks.warehouse import BulkIngester, DuckDbSink, SnowflakeSink, WarehouseLoadError


def table_of(*numbers: int) -> pa.Table:
    return pa.table({"id": pa.array(numbers, pa.int64()), "name": [f"n{number}" for number in numbers]})


def ingest(sink: Any, root: Path, rows: pa.Table, mode: Any = "append", table: str = "events") -> int:
    return BulkIngester(sink, LakePaths(str(root))).ingest(rows.to_batches(max_chunksize=2), rows.schema, table, mode)


class Cursor:
    """Remembers statements and answers COPY with what the test says."""

    description = (("file",), ("status",), ("rows_parsed",), ("rows_loaded",), ("first_error",))

    def __init__(self, root: Path, loaded: int, first_error: str | None = None) -> None:
        self.statements: list[str] = []
        self.staged: list[Path] = []
        self._root = root
        self._answer = [("part-00000.parquet", "LOADED", 3, loaded, first_error)]

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        self.staged = self.staged or list(self._root.rglob("*.parquet"))

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._answer


def test_snowflake_is_told_to_load_this_loads_own_stage_and_its_count_is_believed(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path, loaded=3)
    assert ingest(SnowflakeSink(cursor, "s3://bucket/lake/", "lake_integration"), tmp_path, table_of(1, 2, 3)) == 3
    (file,) = cursor.staged
    load_id = file.parent.name
    stage = f"events_stage_{load_id.replace('-', '')}"
    assert file.parent.parent == tmp_path / "staging" / "events"
    assert cursor.statements == [
        (
            f"CREATE STAGE IF NOT EXISTS {stage} URL = 's3://bucket/lake/staging/events/{load_id}' "
            "STORAGE_INTEGRATION = lake_integration"
        ),
        "BEGIN",
        (
            f"COPY INTO events FROM @{stage} FILE_FORMAT = (TYPE = 'PARQUET') "
            "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = 'CONTINUE'"
        ),
        "COMMIT",
        f"DROP STAGE IF EXISTS {stage}",
    ]
    assert not list(tmp_path.rglob("*.parquet")), "staging is cleaned up"
    again = Cursor(tmp_path, loaded=3)
    ingest(SnowflakeSink(again, "s3://bucket/lake", "lake_integration"), tmp_path, table_of(1, 2, 3), "overwrite")
    assert "DELETE FROM events" in again.statements
    assert stage not in " ".join(again.statements), "no two loads share a stage"


def test_rows_that_copy_left_out_without_a_word_undo_the_load(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path, loaded=2, first_error="Numeric value 'x' is not recognized")
    with pytest.raises(WarehouseLoadError, match="2 of 3 staged rows") as caught:
        ingest(SnowflakeSink(cursor, "s3://b", "i"), tmp_path, table_of(1, 2, 3), "overwrite")
    assert "not recognized" in caught.value.why
    assert [statement.split()[0] for statement in cursor.statements][-2:] == ["ROLLBACK", "DROP"]
    assert "COMMIT" not in cursor.statements
    assert not list(tmp_path.rglob("*.parquet"))


def test_duckdb_appends_overwrites_and_undoes(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    sink = DuckDbSink(database)
    assert ingest(sink, tmp_path, table_of(1, 2, 3)) == 3
    # Columns go by name, not by place.
    assert ingest(sink, tmp_path, table_of(4, 5).select(["name", "id"])) == 2
    assert contents(database) == [(1, "n1"), (2, "n2"), (3, "n3"), (4, "n4"), (5, "n5")]
    assert ingest(sink, tmp_path, table_of(9), "overwrite") == 1
    assert contents(database) == [(9, "n9")]
    wrong = pa.table({"id": ["no number"], "name": ["x"]})
    with pytest.raises(duckdb.Error):
        ingest(sink, tmp_path, wrong, "overwrite")
    assert contents(database) == [(9, "n9")], "what was there stays when the load fails"
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_command_loads_what_silver_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    database = tmp_path / "out.duckdb"
    missing = CliRunner().invoke(app, ["duckdb", "sales", "--database", str(database)])
    assert "no silver yet" in str(missing.exception)
    write_deltalake(str(tmp_path / "lake" / "silver" / "sales"), table_of(1, 2))
    write_deltalake(str(tmp_path / "lake" / "silver" / "sales"), table_of(3), mode="append")
    for _ in range(2):
        done = CliRunner().invoke(app, ["duckdb", "sales", "--database", str(database), "--table", "events"])
        assert done.exit_code == 0, done.output
        assert contents(database) == [(1, "n1"), (2, "n2"), (3, "n3")]


def contents(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute("select id, name from events order by id").fetchall()
