"""`lakehouse prove` as a user runs it, on the stack that it starts: killed workers, a killed broker, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lakehouse.lake.soak.schedule import round_of
from lakehouse_tests.stacks import SHORT_LIVED_JAVA

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]
# Two small rounds; in the second the broker is killed and two workers race.
SEED = 545


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    for name in ("home", "scratch"):
        (folder / name).mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "lakehouse.cli.main", "prove", "sales", *arguments],
        env=os.environ
        | {
            "LAKEHOUSE_HOME": str(folder / "home"),
            "TMPDIR": str(folder / "scratch"),
            # Whoever used the live services would fail.
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "SPARK_REMOTE": "sc://127.0.0.1:1",
            "LAKEHOUSE_SPARK_MEMORY": "1200m",
            "LAKEHOUSE_JAVA_OPTIONS": SHORT_LIVED_JAVA,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_over(folder: Path) -> list[str]:
    """Command lines of this run's processes, down to the last child: they have its temporary folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder / "scratch"):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_a_proof_by_killed_workers_and_a_killed_broker(tmp_path: Path) -> None:
    rounds = [round_of(SEED, number) for number in range(2)]
    assert (rounds[1].rival, rounds[1].restart_broker) == (True, True)
    process = start(tmp_path, "--seed", str(SEED), "--rounds", "2", "--json")
    stdout, stderr = process.communicate(timeout=400)
    assert process.returncode == 0, stderr
    found = json.loads(stdout)
    sent = sum(this.events for this in rounds)
    assert (found["ok"], found["findings"], found["rounds"]) == (True, [], 2)
    assert (found["sent"], found["bronze"]) == (sent, sent)
    assert found["silver"] + found["quarantined"] + found["repeats"] == sent
    assert min(found["silver"], found["quarantined"], found["repeats"]) > 0
    assert found["kills"][rounds[0].point] == 1
    # Who of two racing workers passes the crash point is chance.
    assert sum(found["kills"].values()) + found["survived"] + len(found["stops"]) == len(rounds)
    assert (found["broker_restarts"], found["rivals"]) == (1, 1)
    assert {"Delta", "Kafka broker", "pyspark"} <= set(found["versions"])
    stored = sorted((tmp_path / "home" / "certificates").iterdir())
    assert [path.suffix for path in stored] == [".json", ".md"]
    assert json.loads(stored[0].read_text(encoding="utf-8")) == found
    assert "round 1: " in stderr
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["certificates"], "the live state is untouched"
    assert list((tmp_path / "scratch").iterdir()) == []
    assert left_over(tmp_path) == []


def test_ctrl_c_stops_cleanly_and_leaves_nothing_running(tmp_path: Path) -> None:
    process = start(tmp_path, "--minutes", "5", "--seed", str(SEED))
    deadline = time.monotonic() + 200
    while not any("lakehouse.lake.soak.worker" in command for command in left_over(tmp_path)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no worker was started"
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert list((tmp_path / "scratch").iterdir()) == []
    assert left_over(tmp_path) == []
