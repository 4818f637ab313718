"""Files by partition: their folders are named as Spark names them, and their rows come back as they were."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.lake.log.staging import partition_of, staging_folder, write_partitions

# A name has 255 bytes.
_VALUES = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=20), max_size=8)


@given(values=_VALUES)
def test_each_value_is_told_by_its_folder(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("staged")
    rows = pa.table({"place": pa.array(values, pa.string()), "number": list(range(len(values)))})
    write_partitions(rows, folder, ["place"])
    found = {
        number: partition_of(file, folder)["place"]
        for file in folder.rglob("*.parquet")
        for number in pq.read_table(file, partitioning=None)["number"].to_pylist()
    }
    # To Spark and to Delta an empty text is no value.
    assert found == {number: value or None for number, value in enumerate(values)}
    assert {file.parent.parent for file in folder.rglob("*.parquet")} <= {folder}, "no value leads elsewhere"


def test_folders_have_the_names_that_spark_gives(tmp_path):
    rows = pa.table({"day": ["2026-01-01", None], "place": ["a/b=é%", ""], "number": [1, 2]})
    write_partitions(rows, tmp_path, ["day", "place"])
    none = "__HIVE_DEFAULT_PARTITION__"
    assert {str(file.parent.relative_to(tmp_path)) for file in tmp_path.rglob("*.parquet")} == {
        "day=2026-01-01/place=a%2Fb%3Dé%25",
        f"day={none}/place={none}",
    }


def test_rows_and_types_are_kept(tmp_path):
    moment = datetime(1582, 10, 4, 12, tzinfo=UTC)
    price = pa.decimal128(12, 2)
    kept = {
        "at": pa.array([moment, None], pa.timestamp("us", "UTC")),
        "price": pa.array([Decimal("1.25"), None], price),
        "reject": pa.array([None, {"value": b"\xff", "record": "a"}]),
    }
    write_partitions(pa.table({"fate": ["valid", "valid"], **kept}), tmp_path, ["fate"], without_dictionary=["price"])
    (file,) = tmp_path.rglob("*.parquet")
    assert pq.read_table(file, partitioning=None).to_pydict() == pa.table(kept).to_pydict()
    columns = pq.read_metadata(file).row_group(0)
    encodings = {columns.column(number).path_in_schema: columns.column(number) for number in range(columns.num_columns)}
    assert encodings["price"].physical_type == "INT64", "as Spark writes a small decimal"
    assert not encodings["price"].has_dictionary_page
    assert encodings["at"].has_dictionary_page
    assert {column.compression for column in encodings.values()} == {"ZSTD"}


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    write_partitions(
        pa.table({"fate": pa.array([], pa.string()), "number": pa.array([], pa.int64())}), tmp_path, ["fate"]
    )
    assert not list(tmp_path.rglob("*.parquet"))


def test_what_was_left_is_removed_and_what_goes_meanwhile_is_no_error(tmp_path):
    root = tmp_path / "_staged"
    (root / "left").mkdir(parents=True)
    os.utime(root / "left", (0, 0))
    (root / "at-work").mkdir()
    # Listed, and not there any more: another worker's step has ended.
    (root / "gone").symlink_to(tmp_path / "nowhere")
    with staging_folder(str(tmp_path)) as folder:
        assert folder.parent == root
        assert {entry.name for entry in root.iterdir()} == {"at-work", "gone"}
