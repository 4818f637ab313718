"""The table of facts stays cheap to open, however often a fact is written."""

from pathlib import Path

from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import load_settings
from lakehouse_tests.streams import rows_of


def test_few_commits_have_to_be_read_however_many_there_are(tmp_path: Path) -> None:
    paths = LakePaths.of(load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_ROOT=str(tmp_path / "lake")))
    for number in range(25):
        write_facts(paths, [Fact("sales", "bronze", "batch", batch=number)])
    checkpoints = sorted(int(file.name[:20]) for file in Path(paths.events).glob("_delta_log/*.checkpoint.parquet"))
    assert checkpoints
    assert 24 - checkpoints[-1] < 10
    assert sorted(rows_of(paths.events, "batch")) == [(number,) for number in range(25)]
