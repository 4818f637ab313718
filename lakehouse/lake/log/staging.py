"""A folder for data files that a table will take: on its disk, under a name that readers of Delta tables pass over.

Here: the folder, files in it by partition, what their names say. Not here: which rows, the commit (`commit`).
"""

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from uuid import uuid4

from lakehouse.engine import java_archive
from lakehouse.engine.spark import spark_errors
from lakehouse.engine.spark_client import fetched
from lakehouse.engine.storage import storage_errors
from lakehouse.quality.rules import ESCAPED_IN_FOLDERS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_FILE_OPTIONS = {
    # Spark's default of 3 takes longer for files that are no smaller.
    "parquet.compression.codec.zstd.level": "1",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
_FOLDER = "_staged"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_ESCAPED = re.compile(rf"[\x00{ESCAPED_IN_FOLDERS}]")
_ABANDONED_SECONDS = 24 * 3600.0


@contextmanager
def staging_folder(table: str) -> Iterator[Path]:
    """The address of a folder that is not there yet; gone afterwards, with whatever no commit took.

    Raises:
        DiskFullError, SetupError: as they say.
    """
    root = Path(table) / _FOLDER
    with storage_errors():
        root.mkdir(exist_ok=True)
    for left in root.iterdir():
        # Another worker's may go while it is looked at.
        with suppress(FileNotFoundError):
            # Whoever made it was killed: no step takes a day.
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    folder = root / uuid4().hex
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def staged_files(table: str) -> Iterator[Path]:
    """The data files that are being made for a table and that no commit names."""
    # Unlike a glob, it does not mind folders that go while it looks.
    for folder, _, names in os.walk(Path(table) / _FOLDER):
        yield from (Path(folder) / name for name in names if name.endswith(".parquet"))


def stage_rows(
    rows: "DataFrame", folder: Path, columns: list[str], *, fetch: bool, without_dictionary: Collection[str] = ()
) -> None:
    """Compute rows into files, in folders of their partitions.

    Args:
        rows: The rows, with the types that the table has.
        folder: Where the outermost folders go.
        columns: What they are divided by, from the outermost folder to the innermost; there may be none.
        fetch: They are so few that this process can hold them and write the files itself, which is done in a third
            of the time that Spark takes for a dozen tiny ones.
        without_dictionary: Columns of values that hardly repeat: a dictionary of them is built for nothing.

    Raises:
        SparkUnreachableError, DiskFullError: as they say.
    """
    if fetch:
        with spark_errors():
            table = fetched(_with_texts(rows, columns))
        with storage_errors():
            write_partitions(table, folder, columns, without_dictionary=without_dictionary)
        return
    options = _FILE_OPTIONS | {f"parquet.enable.dictionary#{name}": "false" for name in without_dictionary}
    with spark_errors():
        if java_archive.is_there(rows.sparkSession):
            divided = options | {java_archive.PARTITIONS: ",".join(columns)}
            _with_texts(rows, columns).write.format(java_archive.PARQUET).options(**divided).save(str(folder))
        else:
            rows.write.partitionBy(columns).options(**options).parquet(str(folder))


def _with_texts(rows: "DataFrame", columns: list[str]) -> "DataFrame":
    """The rows with these columns as texts, behind the others."""
    if not columns:
        return rows
    texts = [f"CAST(`{name}` AS STRING) AS `{name}`" for name in columns]
    return rows.selectExpr(f"* EXCEPT ({', '.join(f'`{name}`' for name in columns)})", *texts)


def write_partitions(
    rows: "pa.Table", folder: Path, columns: list[str], *, without_dictionary: Collection[str] = ()
) -> None:
    """Write rows as Spark would: a file for each set of values of the `columns`, in folders that tell the values.

    Args:
        rows: The rows; `columns` are texts and become part of no file.
        folder: Where the outermost folders go.
        columns: From the outermost folder to the innermost.
        without_dictionary: Columns of values that hardly repeat.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbered = rows.select(columns).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    kept = rows.drop_columns(columns)
    dictionaries = [name for name in kept.column_names if name not in without_dictionary]
    for group in numbered.group_by(columns).aggregate([("row", "list")]).to_pylist():
        target = folder.joinpath(*(folder_of(name, group[name]) for name in columns))
        # No value and an empty one are one to Spark, too.
        target.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            kept.take(pa.array(group["row_list"], pa.int64())),
            target / f"part-{uuid4()}.zstd.parquet",
            compression="zstd",
            use_dictionary=dictionaries,
            store_decimal_as_integer=True,
        )


def folder_of(name: str, value: str | None) -> str:
    """The folder of a partition, named as Spark does; what neither escapes (other scripts) stands as it is."""
    return f"{name}={_ESCAPED.sub(lambda found: f'%{ord(found[0]):02X}', value) if value else _NO_VALUE}"


def partition_of(file: Path, root: Path) -> dict[str, str | None]:
    """The partition values that the folders between `root` and a file name, as Delta's log writes them."""
    pairs = (step.partition("=") for step in file.parent.relative_to(root).parts)
    return {name: None if value == _NO_VALUE else unquote(value) for name, _, value in pairs}
