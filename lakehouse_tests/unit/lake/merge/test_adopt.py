"""Adopting staged files: whatever the order and repetition of steps, readers see the winner of each key and no more."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from duckdb import DuckDBPyConnection, InvalidInputException
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from lakehouse.contracts.load import load_stream
from lakehouse.errors import BatchConflictError
from lakehouse.lake.ledger import commits
from lakehouse.lake.log.actions import Add, active_adds, hidden, removed
from lakehouse.lake.merge import adopt as module
from lakehouse.lake.merge import rivals
from lakehouse.lake.merge.adopt import Adopted, adopt
from lakehouse.lake.merge.known_keys import KnownKeys
from lakehouse.lake.merge.rivals import losers
from lakehouse.lake.merge.staged import Staged, staging
from lakehouse.lake.merge.vectors import write_vectors
from lakehouse_tests.unit.lake.merge.tables import Row, new_table, put, seen

_SALES = load_stream("sales")
# Few keys and few times, so that rows meet; a name that no folder has as it is.
_ROWS = st.tuples(
    st.sampled_from(["2026-01-01", "2026-01-02"]), st.sampled_from(["Books", "Home/100% é"]), st.integers(0, 4),
    st.integers(0, 3),
)  # fmt: skip
_STEPS = st.lists(st.lists(_ROWS, max_size=6), min_size=1, max_size=4)


def _take(
    path: Path, rows: list[Row], *, append: bool = False, through: int = 0, known: KnownKeys | None = None
) -> Adopted:
    contract = _SALES.model_copy(update={"mode": "append" if append else "upsert"})
    with staging(contract, str(path)) as staged:
        put(staged, [row._replace(category=_escaped(row.category)) for row in rows])
        days = {row.day for row in rows}
        return adopt(staged, days, {"kind": "silver"}, transaction=("silver/sales", through), known=known)


def _escaped(value: str) -> str:
    """As Spark names the folder of a partition."""
    return value.replace("%", "%25").replace("/", "%2F")


@settings(max_examples=20, deadline=None)
@given(steps=_STEPS, append=st.booleans(), repeat=st.booleans(), room=st.sampled_from([None, 0, 3, 100]))
def test_readers_see_the_winner_of_each_key(
    steps: list[list[tuple[str, str, int, int]]], append: bool, repeat: bool, room: int | None
) -> None:
    keys = None if room is None else KnownKeys(room)
    offset = 0
    best: dict[tuple[str, int], Row] = {}
    # Two files at a time, so that a few are many.
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rivals, "_FILES_AT_ONCE", 2)
        path = Path(folder) / "silver"
        new_table(path, _SALES)
        for number, step in enumerate(steps):
            rows = [Row(*values, offset=offset + index) for index, values in enumerate(step)]
            offset += len(rows)
            before = dict(best)
            for row in rows:
                known = best.setdefault((row.day, row.order), row)
                if (
                    ((row.at, row.offset) < (known.at, known.offset))
                    if append
                    else ((row.at, row.offset) > (known.at, known.offset))
                ):
                    best[row.day, row.order] = row
            done = _take(path, rows, append=append, through=number, known=keys)
            assert done.inserted == len(best) - len(before)
            assert done.updated == sum(best[key] != row for key, row in before.items())
            if repeat:
                assert _take(path, rows, append=append, through=number, known=keys)[1:] == (0, 0)
            assert seen(path) == {(row.day, row.category, row.offset) for row in best.values()}


def test_a_table_of_many_steps_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    for number in range(12):
        _take(tmp_path, [Row("2026-01-01", "Books", number % 3, 1, number)], through=number)
    assert (tmp_path / "_delta_log" / f"{10:020d}.checkpoint.parquet").is_file()
    # What the checkpoint covers is gone: hiding a row of an old file needs what the checkpoint says of it.
    for version in range(10):
        (tmp_path / "_delta_log" / f"{version:020d}.json").unlink()
    done = _take(tmp_path, [Row("2026-01-01", "Books", order, 2, 20 + order) for order in range(3)], through=12)
    assert done[1:] == (0, 3)
    assert seen(tmp_path) == {("2026-01-01", "Books", 20 + order) for order in range(3)}
    assert DeltaTable(str(tmp_path)).transaction_version("silver/sales") == 12


def test_a_step_without_rows_moves_the_position(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    _take(tmp_path, [], through=5)
    assert DeltaTable(str(tmp_path)).transaction_version("silver/sales") == 5
    assert seen(tmp_path) == set()


def test_the_second_of_two_writers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_table(tmp_path, _SALES)
    _take(tmp_path, [Row("2026-01-01", "Books", 1, 1, 1)])
    monkeypatch.setattr(module, "current_version", lambda _: 0)
    with pytest.raises(BatchConflictError, match="commit 1"):
        _take(tmp_path, [Row("2026-01-01", "Books", 2, 1, 2)])
    assert seen(tmp_path) == {("2026-01-01", "Books", 1)}
    assert not list((tmp_path / "_delta_log").glob("*.tmp")) + list((tmp_path / "_delta_log").glob(".*.tmp"))


def test_a_commit_written_over_ours_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_table(tmp_path, _SALES)

    def link_and_lose(draft: Path, target: Path) -> None:
        target.write_text('{"commitInfo":{"operation":"OPTIMIZE"}}\n')

    monkeypatch.setattr(os, "link", link_and_lose)
    with pytest.raises(BatchConflictError):
        _take(tmp_path, [Row("2026-01-01", "Books", 1, 1, 1)])


def test_statistics_let_readers_skip_files_and_never_too_many(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    rows = [Row("2026-01-01", "Books", number, number, number) for number in range(5)]
    _take(tmp_path, rows)
    (add,) = next(commits(str(tmp_path))).added
    stats = json.loads(add["stats"])
    assert stats["numRecords"] == 5
    assert stats["minValues"]["sale_timestamp"] == "2026-01-01T00:00:00.000Z"
    assert stats["maxValues"]["sale_timestamp"] == "2026-01-01T00:00:04.000Z"
    assert stats["minValues"]["_batch"] == stats["maxValues"]["_batch"] == 0
    # Texts are cut, downwards and upwards.
    assert stats["minValues"]["order_id"] < f"order-{0:040d}"
    assert stats["maxValues"]["order_id"] > f"order-{4:040d}"
    assert set(stats["minValues"]) == {"order_id", "sale_timestamp", "_batch"}


def test_nothing_staged_is_left(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    _take(tmp_path, [Row("2026-01-01", "Books", 1, 1, 1)])
    assert list((tmp_path / "_staged").iterdir()) == []


def test_a_row_that_somebody_deleted_beats_no_other(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    _take(tmp_path, [Row("2026-01-01", "Books", 1, 3, 1), Row("2026-01-01", "Books", 2, 3, 2)])
    (name,) = active_adds(tmp_path, 1)
    (add,) = active_adds(tmp_path, 1, names={name}).values()
    deleted = hidden(add, write_vectors(tmp_path, {name: BitMap64([0])})[name])
    actions = [{"commitInfo": {"operation": "DELETE"}}, {"remove": removed(add, 0)}, {"add": deleted}]
    (tmp_path / "_delta_log" / f"{2:020d}.json").write_text("\n".join(map(json.dumps, actions)))
    # Earlier than what was there: it stays behind the one that is still seen, and not behind the other.
    done = _take(tmp_path, [Row("2026-01-01", "Books", 1, 2, 3), Row("2026-01-01", "Books", 2, 2, 4)], through=1)
    assert done[1:] == (1, 0)
    assert seen(tmp_path) == {("2026-01-01", "Books", 3), ("2026-01-01", "Books", 2)}


def test_only_the_files_of_a_version_and_of_the_event_dates_are_active(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    for number in range(14):
        _take(tmp_path, [Row(f"2026-01-0{1 + number % 2}", "Books", number % 3, number, number)], through=number)
    for version in range(15):
        known = DeltaTable(str(tmp_path), version=version)
        files = {Path(uri).name for uri in known.file_uris()}
        assert set(active_adds(tmp_path, version)) == files
        first = {Path(uri).name for uri in known.file_uris(partition_filters=[("event_date", "=", "2026-01-01")])}
        assert set(active_adds(tmp_path, version, {"2026-01-01"})) == first


def test_a_new_day_after_a_checkpoint_has_no_file_in_it(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    for number in range(11):
        _take(tmp_path, [Row("2026-01-01", "Books", 1, number, number)], through=number)
    assert (tmp_path / "_delta_log" / f"{10:020d}.checkpoint.parquet").is_file()
    assert _take(tmp_path, [Row("2026-01-02", "Books", 1, 1, 20)], through=11)[1:] == (1, 0)
    # The file whose row loses is told by a commit alone, not by the checkpoint.
    assert _take(tmp_path, [Row("2026-01-02", "Books", 1, 2, 21)], through=12)[1:] == (0, 1)
    assert seen(tmp_path) == {("2026-01-01", "Books", 10), ("2026-01-02", "Books", 21)}


# What the C library's heap holds, exactly; what a process takes from the system moves by megabytes without a cause.
_HELD = """
import ctypes, sys
from lakehouse.contracts.load import load_stream
from lakehouse.lake.log.actions import active_adds
from lakehouse.lake.merge.known_keys import KnownKeys
from lakehouse.lake.merge.rivals import losers
from lakehouse.lake.merge.staged import staging
from lakehouse_tests.unit.lake.merge.tables import Row, put

class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefg"] + [("used", ctypes.c_size_t), ("h", ctypes.c_size_t * 2)]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Heap
with staging(load_stream("sales"), sys.argv[1]) as staged:
    put(staged, [Row("2026-01-01", "shelf-7", 7, 2, 500)])
    for looks in (30, 20):
        before = library.mallinfo2().used
        for _ in range(looks):
            (lost,) = losers(staged, active_adds(staged.table, 1), KnownKeys()).held.values()
            assert len(lost) == 1
print((library.mallinfo2().used - before) // 20)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc 2.33 or newer counts its heap so")
def test_looking_for_rivals_again_and_again_keeps_no_memory(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    _take(tmp_path, [Row("2026-01-01", f"shelf-{number}", number, 1, number) for number in range(200)])
    command = [sys.executable, "-c", _HELD, str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "MALLOC_ARENA_MAX": "1"}, capture_output=True, check=True)
    # By `delta_scan` it would be a kilobyte and a half of each of the 200 files.
    assert int(done.stdout) < 100_000


def test_a_file_without_a_column_that_came_later_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "_FILES_AT_ONCE", 1)
    new_table(tmp_path, _SALES)
    _take(tmp_path, [Row("2026-01-01", "Books", 1, 3, 1), Row("2026-01-01", "Toys", 2, 3, 2)])
    for file in active_adds(tmp_path, 1):
        (path,) = tmp_path.rglob(file)
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns("_generation"), path)
    assert _take(tmp_path, [Row("2026-01-01", "Home", 2, 4, 3)], through=1)[1:] == (0, 1)
    assert seen(tmp_path) == {("2026-01-01", "Books", 1), ("2026-01-01", "Home", 3)}


def test_a_file_that_is_known_to_hold_no_rival_is_not_opened(tmp_path: Path) -> None:
    new_table(tmp_path, _SALES)
    known = KnownKeys()
    _take(tmp_path, [Row("2026-01-01", "Books", 1, 1, 1)], known=known)
    _take(tmp_path, [Row("2026-01-01", "Toys", 2, 1, 2)], through=1)
    # What another writer brought is looked at once, what this one brought never.
    _take(tmp_path, [Row("2026-01-01", "Home", 3, 1, 3)], through=2, known=known)
    held = {str(path): path.read_bytes() for path in tmp_path.glob("event_date=*/*/*.parquet")}
    for path in held:
        Path(path).write_bytes(b"unreadable")
    assert _take(tmp_path, [Row("2026-01-01", "Books", 4, 1, 4)], through=3, known=known)[1:] == (1, 0)
    for order, category in ((1, "Books"), (2, "Toys"), (3, "Home")):
        with pytest.raises(InvalidInputException):
            _take(tmp_path, [Row("2026-01-01", category, order, 2, 5)], through=4, known=known)
    for path, data in held.items():
        Path(path).write_bytes(data)
    assert _take(tmp_path, [Row("2026-01-01", "Books", 2, 2, 5)], through=4, known=known)[1:] == (0, 1)
    assert {row[2] for row in seen(tmp_path)} == {1, 3, 4, 5}


def test_many_small_files_are_not_all_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB holds 20 kB of each file of a query, of a table with few columns."""
    at_once: list[int] = []
    asked = rivals.rivals_of

    def counted(
        connection: DuckDBPyConnection, staged: Staged, active: Mapping[str, Add], new: list[Path], names: list[str]
    ) -> str:
        at_once.append(len(active))
        return asked(connection, staged, active, new, names)

    monkeypatch.setattr(rivals, "rivals_of", counted)
    new_table(tmp_path, _SALES)
    _take(tmp_path, [Row("2026-01-01", f"shelf-{number}", number, 1, number) for number in range(300)])
    with staging(_SALES, str(tmp_path)) as staged:
        put(staged, [Row("2026-01-01", "shelf-7", 7, 2, 900)])
        at_once.clear()
        losers(staged, active_adds(tmp_path, 1), KnownKeys())
    assert sum(at_once) > 300
    assert max(at_once) < 150
