"""What silver lacks is read off bronze's log, and a batch's own files count only while nobody rewrote the table."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.lake import pending
from lakehouse.lake.pending import Pending, files_of_all, first_of, is_small, pending_batches
from lakehouse.lake.plan import Plan


class Bronze:
    """A log of bronze, commit by commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._versions = 0
        (path / "_delta_log").mkdir(parents=True)

    def batch(self, number: int, *files: str) -> None:
        plan = {
            "kind": "bronze", "stream": "s", "topic_id": "t", "batch": number, "start": {"0": number},
            "end": {"0": number + 1}, "day": "2026-11-20", "writer": "w", "generations": ["t"],
        }  # fmt: skip
        self.commit({"commitInfo": {"userMetadata": json.dumps(plan)}}, *map(self.added, files))

    def commit(self, *actions: dict[str, Any]) -> None:
        file = self.path / "_delta_log" / f"{self._versions:020d}.json"
        file.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")
        self._versions += 1

    def added(self, name: str) -> dict[str, Any]:
        pq.write_table(pa.table({"value": ["x" * 100]}), self.path / name)
        return {"add": {"path": name.replace(" ", "%20")}}

    def lacks(self, after: int) -> list[tuple[int, list[str] | None]]:
        found = pending_batches(str(self.path), after)
        return [(one.plan.batch, None if one.files is None else [file.name for file in one.files]) for one in found]


def test_batches_come_with_the_files_of_their_commits(tmp_path):
    bronze = Bronze(tmp_path)
    bronze.commit({"metaData": {}})
    bronze.batch(0, "a.parquet")
    bronze.batch(1, "b c.parquet", "d.parquet")
    bronze.commit({"metaData": {}})
    bronze.batch(2)
    assert bronze.lacks(-1) == [(0, ["a.parquet"]), (1, ["b c.parquet", "d.parquet"]), (2, [])]
    assert bronze.lacks(1) == [(2, [])]
    assert bronze.lacks(2) == []
    files = files_of_all(pending_batches(str(tmp_path), -1))
    assert [file.name for file in files] == ["a.parquet", "b c.parquet", "d.parquet"]
    assert all(file.is_file() for file in files)


def test_the_log_is_asked_behind_which_others_wrote(tmp_path):
    bronze = Bronze(tmp_path)
    bronze.batch(0, "a.parquet")
    bronze.batch(1, "b.parquet")
    bronze.commit({"remove": {"path": "a.parquet"}}, bronze.added("compact.parquet"))
    bronze.batch(2, "c.parquet")
    assert bronze.lacks(-1) == [(0, None), (1, None), (2, ["c.parquet"])]
    assert files_of_all(pending_batches(str(tmp_path), -1)) == ()
    assert [file.name for file in files_of_all(pending_batches(str(tmp_path), 1))] == ["c.parquet"]


def test_missing_or_many_files_are_left_to_delta(tmp_path, monkeypatch):
    bronze = Bronze(tmp_path)
    bronze.batch(0, "a.parquet", "b.parquet")
    monkeypatch.setattr(pending, "_MOST_FILES", 1)
    assert files_of_all(pending_batches(str(tmp_path), -1)) == ()
    monkeypatch.undo()
    assert len(files_of_all(pending_batches(str(tmp_path), -1))) == 2
    (tmp_path / "b.parquet").unlink()
    assert files_of_all(pending_batches(str(tmp_path), -1)) == ()


def test_small_is_what_files_hold_unpacked(tmp_path, monkeypatch):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"value": ["x" * 100_000]}), file, compression="zstd", use_dictionary=False)
    assert file.stat().st_size < 10_000
    assert is_small([file])
    monkeypatch.setattr(pending, "_SMALL_BYTES", 99_999)
    assert not is_small([file])
    assert not is_small([]), "of what Delta has to be asked for nothing is known"


def waiting(*spans: int) -> list[Pending]:
    plans = [Plan("s", "t", n, {0: 0}, {0: span}, date(2026, 11, 20), "w", ("t",)) for n, span in enumerate(spans)]
    return [Pending(plan, ()) for plan in plans]


def test_a_step_has_as_many_batches_as_its_rows_allow_and_one_at_least():
    batches = waiting(400_000, 50_000, 50_000, 50_000)
    assert first_of(batches, 500_000) == batches[:3]
    assert first_of(batches, 1_000) == batches[:1]
    assert first_of(waiting(0, 10, 0), 5) == waiting(0), "a gap has no rows"
    assert first_of(batches[1:2], 500_000) == batches[1:2]
