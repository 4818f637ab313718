"""The ledger reads Delta logs as they are on disk, and names a damaged commit instead of passing over it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import LogDamagedError, SetupError
from lakehouse.lake.guards.identity import LAYOUT, ensure_lake_id, read_lake_id, require_lake
from lakehouse.lake.ledger import current_version, last_commit_of, last_plan, merged_through, read_commit
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import load_settings


def table(path: Path, metadata: list[dict[str, object] | None]) -> str:
    """A Delta table of one column with one commit per entry."""
    import pyarrow as pa
    from deltalake import CommitProperties, write_deltalake

    for entry in metadata:
        text = {"userMetadata": json.dumps(entry)} if entry else {}
        write_deltalake(str(path), pa.table({"x": [1]}), mode="append", commit_properties=CommitProperties(text))
    return str(path)


def test_the_last_plan_is_found_behind_other_commits(tmp_path: Path) -> None:
    plan = {
        "kind": "bronze", "stream": "s", "topic_id": "t", "batch": 4, "start": {"0": 1}, "end": {"0": 3},
        "day": "2026-11-20", "writer": "w", "generations": ["t"],
    }  # fmt: skip
    path = table(tmp_path / "t", [plan, None, {"kind": "silver", "through": 9}, None])
    known = last_plan(path)
    assert known is not None
    assert (known[0].batch, known[0].end, known[1].version) == (4, {0: 3}, 0)
    assert merged_through(path) == 9


def long_log(path: Path, commits: int) -> str:
    """A log of so many bronze batches with a note of its last checkpoint, a tenth commit, as bronze leaves it."""
    log = path / "_delta_log"
    log.mkdir(parents=True)
    for number in range(commits):
        plan = {
            "kind": "bronze", "stream": "s", "topic_id": "t", "batch": number, "start": {"0": number},
            "end": {"0": number + 1}, "day": "2026-11-20", "writer": "w", "generations": ["t"],
        }  # fmt: skip
        info = {"timestamp": number, "operation": "WRITE", "userMetadata": json.dumps(plan)}
        (log / f"{number:020d}.json").write_text(json.dumps({"commitInfo": info}), encoding="utf-8")
    (log / "_last_checkpoint").write_text(json.dumps({"version": (commits - 1) // 10 * 10}), encoding="utf-8")
    return str(path)


def test_batch_5000_asks_the_log_for_no_more_than_batch_100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("read_text", "is_file", "stat", "open", "iterdir", "glob"):
        known = getattr(Path, name)

        def counted(path: Path, *args: object, known: Callable[..., object] = known, **more: object) -> object:
            asked.append(path.name)
            return known(path, *args, **more)

        monkeypatch.setattr(Path, name, counted)
    counts = []
    for commits in (100, 5_000):
        path = long_log(tmp_path / str(commits), commits)
        asked.clear()
        known_plan = last_plan(path)
        assert known_plan is not None
        assert (known_plan[0].batch, current_version(path)) == (commits - 1, commits - 1)
        counts.append(len(asked))

    assert counts[0] == counts[1] < 60


def test_a_table_that_does_not_exist_has_no_history(tmp_path: Path) -> None:
    assert last_plan(str(tmp_path / "none")) is None
    assert merged_through(str(tmp_path / "none")) == -1


def test_the_version_is_what_readers_of_the_log_say(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    assert current_version(str(tmp_path)) is None
    assert current_version(str(tmp_path / "none")) is None
    path = table(tmp_path / "t", [None, None, None])
    log = Path(path) / "_delta_log"
    assert current_version(path) == 2
    DeltaTable(path).create_checkpoint()
    table(Path(path), [None, None])
    assert current_version(path) == DeltaTable(path).version() == 4
    # What a checkpoint covers may be cleaned up; a note of a checkpoint that is not there is no note.
    for version in range(3):
        (log / f"{version:020d}.json").unlink()
    assert current_version(path) == 4
    note = (log / "_last_checkpoint").read_text(encoding="utf-8")
    for wrong in ("", "{", '{"version": 77}', "[]"):
        (log / "_last_checkpoint").write_text(wrong, encoding="utf-8")
        assert current_version(path) == 4
    (log / "_last_checkpoint").write_text(note, encoding="utf-8")


def test_a_missing_commit_is_no_end_of_the_log(tmp_path: Path) -> None:
    path = table(tmp_path / "t", [None, None, None, None])
    (Path(path) / "_delta_log" / f"{2:020d}.json").unlink()
    with pytest.raises(LogDamagedError, match="no commit 2"):
        current_version(path)


@pytest.mark.parametrize("content", ["", '{"commitInfo": {"times'])
def test_an_empty_or_torn_commit_is_named(tmp_path: Path, content: str) -> None:
    path = Path(table(tmp_path / "t", [None, None]))
    file = path / "_delta_log" / f"{1:020d}.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(LogDamagedError, match="Commit 1"):
        read_commit(file)
    with pytest.raises(LogDamagedError):
        last_commit_of(str(path), "bronze")


def test_a_lake_keeps_its_id(tmp_path: Path) -> None:
    paths = LakePaths(str(tmp_path / "lake"))
    assert ensure_lake_id(paths) == ensure_lake_id(paths) == read_lake_id(paths)


def test_a_lake_of_a_newer_version_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    own = load_settings(LAKEHOUSE_HOME=tmp_path / "home", LAKEHOUSE_ROOT=str(tmp_path / "lake"))
    paths = LakePaths.of(own)
    made = require_lake(own)
    text = paths.identity.read_text(encoding="utf-8")
    paths.identity.write_text(text.replace(f'"layout": {LAYOUT}', f'"layout": {LAYOUT + 1}'), encoding="utf-8")
    for ask in (lambda: require_lake(own), lambda: require_lake(own, another_lake=True), lambda: read_lake_id(paths)):
        with pytest.raises(SetupError, match=f"layout {LAYOUT + 1}.*up to {LAYOUT}"):
            ask()
    paths.identity.write_text(text, encoding="utf-8")
    assert require_lake(own) == made
