"""Dagster's daemon dies at any point of a tick, its memory is lost or broken: one run per position, no row twice."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus
from sqlalchemy.exc import OperationalError

from lakehouse.components.arrivals import build_arrivals_sensor
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.embedded.dagster_ui import INSTANCE_CONFIG
from lakehouse.settings import Settings
from lakehouse_tests.faults.conftest import SmallDisk
from lakehouse_tests.faults.daemon import evaluate, last_tick
from lakehouse_tests.faults.story import Topic, assert_whole, drain_once, some_records
from lakehouse_tests.streams import sales_on, send

# Before the sensor is asked, after its run was made, after the run was handed over.
POINTS = ("TICK_HELD", "RUN_CREATED", "RUN_LAUNCHED")


def dagster_home(folder: Path) -> Path:
    folder.mkdir()
    shutil.copyfile(INSTANCE_CONFIG, folder / "dagster.yaml")
    return folder


def test_a_daemon_killed_at_any_point_of_a_tick_makes_one_run(tmp_path: Path) -> None:
    homes = {point: dagster_home(tmp_path / point.lower()) for point in POINTS}
    daemons = {
        point: subprocess.Popen(
            [sys.executable, "-m", "lakehouse_tests.faults.daemon", str(home), point],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for point, home in homes.items()
    }
    assert {point: daemon.wait(150) for point, daemon in daemons.items()} == dict.fromkeys(POINTS, -signal.SIGKILL)
    for point, home in homes.items():
        evaluate(home)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            runs = instance.get_runs()
            assert [run.status for run in runs] == [dg.DagsterRunStatus.QUEUED], f"{point}: it waits for its turn"
            assert runs[0].tags["dagster/run_key"].endswith("/attempt-1"), point
            assert last_tick(instance) in {TickStatus.SUCCESS, TickStatus.SKIPPED}, point


def test_a_full_disk_under_dagsters_database_makes_no_run_and_room_makes_one(disk: SmallDisk) -> None:
    home = dagster_home(disk.folder / "dagster")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []
    disk.leave(0)
    with pytest.raises(OperationalError, match="disk"):
        evaluate(home)
    disk.free()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []
    evaluate(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.QUEUED]


def tick(instance: dg.DagsterInstance, contract: StreamContract) -> dg.RunRequest | dg.SkipReason:
    sensor = build_arrivals_sensor(contract, f"drain_{contract.name}")
    answer = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


@pytest.mark.kafka
@pytest.mark.spark
def test_dagsters_database_is_broken_then_gone_and_the_stream_goes_on(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    contract = sales_on(settings, topic_name("forgotten"))
    home = dagster_home(tmp_path / "dagster")
    sent = send(settings, contract.topic.name, some_records(0, 30))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        asked = tick(instance, contract)
        assert isinstance(asked, dg.RunRequest)

    databases = list(home.rglob("*.db"))
    assert databases
    for database in databases:
        database.write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="not a database"), dg.DagsterInstance.from_config(str(home)) as instance:
        tick(instance, contract)
    drain_once(contract, settings)

    shutil.rmtree(home)
    with dg.DagsterInstance.from_config(str(dagster_home(home))) as instance:
        assert isinstance(tick(instance, contract), dg.SkipReason), "the table says that all is read"
        sent += send(settings, contract.topic.name, some_records(100, 10))
        again = tick(instance, contract)
        assert isinstance(again, dg.RunRequest)
        assert again.run_key != asked.run_key
        assert str(again.run_key).endswith("/attempt-1")
    reports = drain_once(contract, settings)
    assert sum(report.rows for report in reports if report.layer == "bronze") == len(some_records(100, 10))
    assert_whole(contract, settings, sent)
