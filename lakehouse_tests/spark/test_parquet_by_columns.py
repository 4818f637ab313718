"""Files of our writer against files of Spark's: the same rows, types, statistics and folders, whoever reads them."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest

from lakehouse.engine import java_archive
from lakehouse.lake.log import staging
from lakehouse.lake.log.staging import stage_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark
TYPES = {
    "flag": "boolean",
    "tiny": "tinyint",
    "short": "smallint",
    "whole": "int",
    "long": "bigint",
    "few": "int",
    "single": "float",
    "double": "double",
    "day": "date",
    "moment": "timestamp",
    "local": "timestamp_ntz",
    "small": "decimal(9,2)",
    "middle": "decimal(18,4)",
    "large": "decimal(38,10)",
    "text": "string",
    "word": "string",
    "same": "string",
    "bytes": "binary",
    "never": "string",
    "nested": "struct<a: int, b: struct<c: string, d: decimal(20,3)>>",
    "list": "array<string>",
    "deep": "array<struct<n: bigint, m: array<int>>>",
    "pairs": "map<string, double>",
}
MOST = {"tiny": 127, "short": 32767, "whole": 2**31 - 1, "long": 2**63 - 1}


def _value(name: str, draw: random.Random) -> Any:
    """A value of the column, extremes among them, or None."""
    if draw.random() < 0.2 or name == "never":
        return None
    if name in MOST:
        return draw.choice([0, 1, -1, MOST[name], -MOST[name] - 1, draw.randint(-MOST[name], MOST[name])])
    digits = {"small": 9, "middle": 18, "large": 38}
    if name in digits:
        scale = {"small": 2, "middle": 4, "large": 10}[name]
        return Decimal(draw.randint(-(10 ** digits[name]) + 1, 10 ** digits[name] - 1)).scaleb(-scale)
    word = "".join(draw.choice("ab€😀 'Ω\x00\n") for _ in range(draw.choice([0, 1, 3, 40])))
    moment = datetime(1, 1, 2, tzinfo=UTC) + timedelta(microseconds=draw.randrange(315_000_000_000_000_000))
    match name:
        case "flag":
            return draw.random() < 0.5
        case "few":
            return draw.randint(-3, 3)
        case "single" | "double":
            return (
                draw.choice([0.0, -0.0, 1.5, -2.5, math.inf, math.nan]) if draw.random() < 0.1 else draw.uniform(-9, 9)
            )
        case "day":
            return moment.date()
        case "moment":
            return moment
        case "local":
            return moment.replace(tzinfo=None)
        case "text":
            return word + str(draw.random())
        case "word":
            return draw.choice(["", "a", "B", "zz", "Ω"])
        case "same":
            return "always"
        case "bytes":
            return draw.randbytes(draw.choice([0, 1, 500]))
        case "nested":
            inner = (
                None
                if draw.random() < 0.3
                else {"c": word, "d": draw.choice([None, Decimal("-12345678901234567.125")])}
            )
            return {"a": draw.choice([None, 7]), "b": inner}
        case "list":
            return [draw.choice([None, word, "x"]) for _ in range(draw.choice([0, 1, 5]))]
        case "deep":
            return [
                draw.choice([None, {"n": draw.randint(0, 9), "m": [draw.choice([None, 1]) for _ in range(count)]}])
                for count in range(draw.choice([0, 1, 4]))
            ]
        case "pairs":
            return {str(key): draw.choice([None, 0.5]) for key in range(draw.choice([0, 1, 3]))}
    raise AssertionError(name)


def _frame(spark: "SparkSession", rows: list[dict[str, Any]], types: dict[str, str]) -> "DataFrame":
    schema = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
    return spark.createDataFrame([tuple(row[name] for name in types) for row in rows], schema).coalesce(1)


def _by_both(rows: "DataFrame", folder: Path, columns: list[str], **options: Any) -> tuple[Path, Path]:
    """Folders of the same rows, of our writer and of Spark's own."""
    ours, sparks = folder / "ours", folder / "sparks"
    stage_rows(rows, ours, columns, fetch=False, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging.java_archive, "is_there", lambda _: False)
        stage_rows(rows, sparks, columns, fetch=False, **options)
    return ours, sparks


def _files(folder: Path) -> dict[str, Path]:
    """The files by the folders that they are in."""
    found = sorted(folder.rglob("*.parquet"))
    return {str(file.parent.relative_to(folder)): file for file in found}


def _told(file: Path) -> list[Any]:
    """What the footer says of each column, and of the file."""
    footer = pq.read_metadata(file)
    told: list[Any] = [footer.schema.to_arrow_schema(), footer.num_rows, footer.metadata]
    group = footer.row_group(0)
    for number in range(footer.num_columns):
        column = group.column(number)
        known = column.statistics
        told.append(
            (
                column.path_in_schema,
                column.physical_type,
                column.compression,
                column.num_values,
                # NaN, which Parquet's library takes for the largest of fractions, is not equal to itself.
                known and repr((known.null_count, known.has_min_max and (known.min_raw, known.max_raw))),
            )
        )
    return told


@pytest.mark.parametrize("count", [1, 700, 45_000])
def test_files_are_as_sparks(spark: "SparkSession", tmp_path: Path, count: int) -> None:
    assert java_archive.is_there(spark)
    draw = random.Random(count)
    drawn = [{name: _value(name, draw) for name in TYPES} for _ in range(min(count, 3_000))]
    rows = [drawn[at % len(drawn)] | {"long": at, "text": f"{at * 7919}"} for at in range(count)]
    ours, sparks = _by_both(_frame(spark, rows, TYPES), tmp_path, [], without_dictionary=["bytes"])
    (mine,), (theirs,) = _files(ours).values(), _files(sparks).values()
    assert _told(mine) == _told(theirs)
    # Arrow and DuckDB read each page by its own code.
    assert repr(pq.read_table(mine).to_pylist()) == repr(pq.read_table(theirs).to_pylist())
    sql = "SELECT * FROM read_parquet('{}')"
    assert repr(duckdb.sql(sql.format(mine)).fetchall()) == repr(duckdb.sql(sql.format(theirs)).fetchall())
    read = spark.read.parquet(str(ours))
    assert repr(read.collect()) == repr(spark.read.parquet(str(sparks)).collect())
    assert read.where("long = 0").count() == 1
    assert mine.stat().st_size < 1.1 * theirs.stat().st_size + 1_000


def test_folders_are_as_sparks(spark: "SparkSession", tmp_path: Path) -> None:
    values = ["plain", "", None, "a/b", "50%", "x=y", "é 😀", "now: 'then'", "\x01"]
    days = [date(1, 1, 1), date(2026, 12, 1), None]
    rows = [{"n": n, "day": days[n % 3], "kind": values[n % len(values)]} for n in range(200)]
    frame = _frame(spark, rows, {"n": "int", "day": "date", "kind": "string"})
    ours, sparks = _by_both(frame, tmp_path, ["day", "kind"])
    mine, theirs = _files(ours), _files(sparks)
    assert mine.keys() == theirs.keys()
    for folder, file in mine.items():
        assert _told(file) == _told(theirs[folder])
        assert pq.ParquetFile(file).read().to_pylist() == pq.ParquetFile(theirs[folder]).read().to_pylist()


def test_of_no_rows_there_is_an_empty_file_unless_they_are_divided(spark: "SparkSession", tmp_path: Path) -> None:
    frame = _frame(spark, [], {"n": "int", "kind": "string"})
    for name, columns in (("whole", []), ("divided", ["kind"])):
        ours, sparks = _by_both(frame, tmp_path / name, columns)
        assert [pq.read_metadata(file).num_rows for file in _files(ours).values()] == [
            pq.read_metadata(file).num_rows for file in _files(sparks).values()
        ]


def test_memory_is_bounded_by_writing_what_there_is(spark: "SparkSession", tmp_path: Path) -> None:
    frame = spark.range(0, 30_000, 1, 1).selectExpr("id", "sha2(string(id), 256) AS text", "string(id % 3) AS kind")
    writer = frame.write.format(java_archive.PARQUET).option(java_archive.PARTITIONS, "kind")
    writer.option("parquet.block.size", "500000").save(str(tmp_path / "rows"))
    files = sorted((tmp_path / "rows").rglob("*.parquet"))
    assert len(files) > 3
    assert max(file.stat().st_size for file in files) < 500_000
    assert pq.ParquetDataset(tmp_path / "rows").read(["id"])["id"].to_pylist() != []
    assert spark.read.parquet(str(tmp_path / "rows")).selectExpr("count(distinct id) AS n").collect()[0]["n"] == 30_000


def test_a_dictionary_that_grows_large_is_left(spark: "SparkSession", tmp_path: Path) -> None:
    # 20,000 rows of few values, then as many that are all different, of more bytes than a dictionary may have.
    frame = spark.range(0, 60_000, 1, 1).selectExpr(
        "if(id < 25000, 'few', repeat(sha2(string(id), 256), 2)) AS text", "if(id < 25000, 0, id * id) AS number"
    )
    ours, sparks = _by_both(frame, tmp_path, [])
    (mine,), (theirs,) = _files(ours).values(), _files(sparks).values()
    assert set(pq.read_metadata(mine).row_group(0).column(0).encodings) >= {"PLAIN", "PLAIN_DICTIONARY"}
    assert _told(mine) == _told(theirs)
    assert pq.read_table(mine) == pq.read_table(theirs)


def test_many_partitions_of_a_few_rows_are_a_file_each(spark: "SparkSession", tmp_path: Path) -> None:
    # As columns from the first row on, 2,000 files would take more than the 6 MB that there are; as rows they do not.
    frame = spark.range(0, 20_000, 1, 1).selectExpr(
        "id", "id % 7 AS a", "id % 5 AS b", "id % 3 AS c", "string(id) AS text", "string(id % 2000) AS kind"
    )
    writer = frame.write.format(java_archive.PARQUET).option(java_archive.PARTITIONS, "kind")
    writer.option("parquet.block.size", "6000000").save(str(tmp_path / "rows"))
    assert len(list((tmp_path / "rows").rglob("*.parquet"))) == 2_000
    assert spark.read.parquet(str(tmp_path / "rows")).selectExpr("count(distinct id) AS n").collect()[0]["n"] == 20_000
