"""The file of a build: what it begins with, how it takes the place of the published one."""

from pathlib import Path

import duckdb
import pytest

from lakehouse.lake.gold import work_file

ROWS = "select i, md5(i::varchar) as text from range(200_000) t(i)"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "gold.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema snapshots")
        connection.execute("create table snapshots.snap_product as select 1 as version")
        connection.execute("create table _build as select 7 as silver_version")
        connection.execute("create table fct_sales as select 2 as sold")
    path.chmod(0o444)
    return path


def tables(path: Path) -> set[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("everything", {"snap_product", "_build", "fct_sales"}), ("history", {"snap_product", "_build"})],
)
def test_a_build_goes_on_from_what_it_will_not_compute(
    published: Path, tmp_path: Path, keep: work_file.Keep, kept: set[str]
) -> None:
    work = tmp_path / "build" / "build.duckdb"
    work.parent.mkdir()
    work.write_bytes(b"left by a build that was killed")

    work_file.begin(work, published, keep)

    assert tables(work) == kept
    with duckdb.connect(str(work)) as connection:
        assert connection.execute("from snapshots.snap_product").fetchall() == [(1,)]
        assert connection.execute("from _build").fetchall() == [(7,)]


def test_nothing_kept_leaves_the_making_to_dbt(published: Path, tmp_path: Path) -> None:
    work = tmp_path / "build" / "build.duckdb"
    work.parent.mkdir()
    work.write_bytes(b"left by a build that was killed")
    (work.parent / "build.duckdb.tmp").mkdir()

    work_file.begin(work, published, "nothing")

    assert list(work.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("replaced", "pack", "is_packed"),
    [
        pytest.param(False, False, False, id="nothing to gain"),
        pytest.param(True, False, True, id="more than half of it is free"),
        pytest.param(False, True, True, id="what was deleted must be gone"),
    ],
)
def test_a_file_is_written_anew_when_it_has_to_be(tmp_path: Path, replaced: bool, pack: bool, is_packed: bool) -> None:
    work, gold = tmp_path / "build" / "build.duckdb", tmp_path / "gold.duckdb"
    work.parent.mkdir()
    with duckdb.connect(str(work)) as connection:
        connection.execute(f"create table fct_sales as {ROWS}")
        connection.execute("insert into fct_sales values (-1, 'forget this person')")
        connection.execute("checkpoint")
        connection.execute("delete from fct_sales where i = -1")
        if replaced:
            connection.execute("create or replace table fct_sales as select 1 as i")
    inode, size = work.stat().st_ino, work.stat().st_size

    work_file.publish(work, gold, pack=pack)

    assert tables(gold) == {"fct_sales"}
    assert not gold.stat().st_mode & 0o222, "readers cannot write to it"
    assert (gold.stat().st_ino != inode) == is_packed
    assert (gold.stat().st_size < size / 2) == replaced
    assert not pack or b"forget this person" not in gold.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"gold.duckdb"}
