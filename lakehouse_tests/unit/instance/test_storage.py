"""Dagster's databases of the stack: the files and rows of its own storage, opened and asked at less cost."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from lakehouse.engine.embedded.dagster_ui import INSTANCE_CONFIG, instance_config
from lakehouse.instance import storage

KEY = dg.AssetKey("table")


@dg.asset(key=KEY)
def table() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 7})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    yield tmp_path
    storage._checked.clear()


def opened(home: Path, config: str) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text(config, encoding="utf-8")
    return dg.DagsterInstance.from_config(str(home))


def rows_of(instance: dg.DagsterInstance) -> list[object]:
    event = instance.get_latest_materialization_event(KEY)
    assert event is not None
    assert event.asset_materialization is not None
    runs = [(run.job_name, run.status) for run in instance.get_runs()]
    return [*runs, event.asset_materialization.metadata["rows"].value]


def test_what_one_storage_writes_the_other_reads(home: Path) -> None:
    configs = [instance_config(), INSTANCE_CONFIG.read_text(encoding="utf-8")]
    for first, second in (configs, reversed(configs)):
        with opened(home, first) as instance:
            run = dg.materialize([table], instance=instance)
            written = rows_of(instance)
        with opened(home, second) as instance:
            assert rows_of(instance) == written
            assert len(instance.all_logs(run.run_id)) > 5
    with opened(home, configs[0]) as instance:
        assert type(instance.run_storage).__module__ == storage.__name__, "what the stack's settings name"
        assert len(instance.get_runs()) == 2


def test_an_open_database_is_neither_checked_nor_connected_to_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home, instance_config()) as instance:
        dg.materialize([table], instance=instance)
        ref = instance.get_ref()

    def unwanted(*_: object, **__: object) -> None:
        pytest.fail("Dagster makes an engine and connects for each statement, and reads its migrations at each opening")

    monkeypatch.setattr(sa, "create_engine", unwanted)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", unwanted)
    for module in ("schedules.sqlite.sqlite_schedule_storage", "runs.sqlite.sqlite_run_storage"):
        monkeypatch.setattr(f"dagster._core.storage.{module}.check_alembic_revision", unwanted)
    with dg.DagsterInstance.from_ref(ref) as again:
        assert len(rows_of(again)) == 2
        assert again.all_instigator_state() == []


def test_a_history_that_was_moved_away_begins_anew(home: Path) -> None:
    with opened(home, instance_config()) as instance:
        dg.materialize([table], instance=instance)
    for folder in ("history", "schedules"):
        shutil.move(home / folder, home / f"old-{folder}")
    with opened(home, instance_config()) as instance:
        assert instance.get_runs() == []
        assert instance.all_instigator_state() == []
        dg.materialize([table], instance=instance)
        assert len(instance.get_runs()) == 1


def test_the_file_that_was_moved_away_is_used_no_more(home: Path) -> None:
    with opened(home, instance_config()) as instance:
        dg.materialize([table], instance=instance)
        shutil.move(home / "history", home / "old")
        shutil.copytree(home / "old", home / "history")
        dg.materialize([table], instance=instance)
    for history, runs in (("old", 1), ("history", 2)):
        with closing(sqlite3.connect(home / history / "runs.db")) as database:
            assert database.execute("SELECT count(*) FROM runs").fetchone() == (runs,)


def test_a_fork_makes_its_own_connections(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home, instance_config()) as instance:
        dg.materialize([table], instance=instance)
        made: list[object] = []
        connect = sqlite3.dbapi2.connect

        def noted(*args: Any, **more: Any) -> sqlite3.Connection:
            made.append(args)
            return connect(*args, **more)

        monkeypatch.setattr(sqlite3.dbapi2, "connect", noted)
        child = os.fork()
        if child == 0:
            runs = instance.get_runs()
            os._exit(0 if len(runs) == len(made) == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(instance.get_runs()) == 1
        assert made == []
