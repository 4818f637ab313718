"""Dagster's databases: made before two processes could race for them, and mended when they did."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from lakehouse.engine.embedded import dagster_storage
from lakehouse.engine.embedded.dagster_ui import INSTANCE_CONFIG
from lakehouse.errors import SetupError

DATABASES = ("schedules/schedules.db", "history/runs.db", "history/runs/index.db")
OPEN = "from dagster import DagsterInstance\nwith DagsterInstance.get() as it: it.all_instigator_state()"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache):
    instance = tmp_path_factory.mktemp("made")
    shutil.copyfile(INSTANCE_CONFIG, instance / "dagster.yaml")
    dagster_storage.make(instance, cache)
    return instance


@pytest.fixture
def instance(made, tmp_path):
    return shutil.copytree(made, tmp_path / "dagster")


def stamps(database):
    with closing(sqlite3.connect(database)) as connection:
        return [stamp for (stamp,) in connection.execute("SELECT version_num FROM alembic_version")]


def opened_by_dagster(instance):
    environment = os.environ | {"DAGSTER_HOME": str(instance)}
    return subprocess.run([sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, check=False)


def test_every_database_is_there_before_a_service_starts(made):
    assert [len(stamps(made / name)) for name in DATABASES] == [1, 1, 1]


def test_whole_databases_start_no_process(instance, cache, monkeypatch):
    monkeypatch.setattr(dagster_storage.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    dagster_storage.make(instance, cache)


def test_another_home_gets_empty_databases_without_a_process(cache, made, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dagster_storage.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
        dagster_storage.make(tmp_path, cache)
    assert [stamps(tmp_path / name) for name in DATABASES] == [stamps(made / name) for name in DATABASES]
    shutil.copyfile(INSTANCE_CONFIG, tmp_path / "dagster.yaml")
    assert opened_by_dagster(tmp_path).returncode == 0


def test_a_history_of_which_a_part_is_missing_is_not_mixed_with_an_empty_one(instance, cache):
    (instance / DATABASES[0]).unlink()
    before = (instance / DATABASES[1]).read_bytes()
    dagster_storage.make(instance, cache)
    assert len(stamps(instance / DATABASES[0])) == 1
    assert (instance / DATABASES[1]).read_bytes() == before


def test_a_database_that_two_processes_made_is_opened_again(instance, cache):
    newest = stamps(instance / DATABASES[0])
    with closing(sqlite3.connect(instance / DATABASES[0])) as connection, connection:
        # As the slower of two processes leaves it behind.
        connection.execute("INSERT INTO alembic_version VALUES ('5771160a95ad')")
    assert "more than one head" in opened_by_dagster(instance).stderr
    dagster_storage.make(instance, cache)
    assert stamps(instance / DATABASES[0]) == newest
    assert opened_by_dagster(instance).returncode == 0


def test_what_dagster_cannot_open_is_said_with_its_reason(instance, cache):
    (instance / DATABASES[1]).write_bytes(b"no database" * 1_000)
    with pytest.raises(SetupError, match="cannot open its databases") as caught:
        dagster_storage.make(instance, cache)
    assert "not a database" in caught.value.why
    assert "move" in caught.value.fix
