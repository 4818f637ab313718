"""`lakehouse produce` as a process against a real broker: summaries, signals, kill -9 in the middle of a file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.kafka.client import client_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.topic_plan import DesiredTopic
from lakehouse.kafka.topics import apply_topics
from lakehouse.settings import Settings

pytestmark = pytest.mark.kafka
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@pytest.fixture
def topic(settings: Settings, topic_name: Callable[[str], str]) -> str:
    name = topic_name("produce")
    apply_topics(settings, [DesiredTopic(name, 2)])
    return name


def _start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "lakehouse.cli.main", "produce", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _result(process: "subprocess.Popen[str]", code: int = 0) -> dict[str, Any]:
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    found: dict[str, Any] = json.loads(stdout)
    return found


def _count(settings: Settings, topic: str) -> int:
    state = read_topic_state(settings, topic)
    return sum(state.end.values()) - sum(state.start.values())


def _wait_for(settings: Settings, topic: str, rows: int) -> None:
    deadline = time.monotonic() + 30
    while _count(settings, topic) < rows:
        assert time.monotonic() < deadline, "the producer sends nothing"
        time.sleep(0.02)


def _values(settings: Settings, topic: str) -> Iterator[dict[str, Any]]:
    from confluent_kafka import Consumer, TopicPartition

    state = read_topic_state(settings, topic)
    consumer = Consumer(client_config(settings, group_id="test", enable_auto_commit=False))
    try:
        for partition, end in state.end.items():
            consumer.assign([TopicPartition(topic, partition, 0)])
            for _ in range(end):
                message = consumer.poll(20)
                assert message is not None
                yield json.loads(message.value())
    finally:
        consumer.close()


def test_the_summary_is_what_the_broker_holds(settings: Settings, topic: str) -> None:
    arguments = ["--topic", topic, "--count", "5000", "--burst", "--bad-share", "0.02", "--seed", "5", "--json"]
    summary = _result(_start("sales", *arguments))
    assert (summary["sent"], summary["failed"], summary["bad"], summary["seed"]) == (5000, 0, 100, 5)
    assert _count(settings, topic) == 5000


def test_check_sends_nothing(settings: Settings, topic: str) -> None:
    found = _result(_start("sales", "--topic", topic, "--check", "--json"))
    assert (found["events_wrong"], found["topic_id"]) == (0, read_topic_state(settings, topic).topic_id)
    assert _count(settings, topic) == 0


@pytest.mark.parametrize(
    ("count", "number", "code"),
    [((), signal.SIGINT, 0), ((), signal.SIGTERM, 0), (("--count", "100000"), signal.SIGINT, 130)],
)
def test_a_signal_flushes_and_the_summary_is_true(
    settings: Settings, topic: str, count: tuple[str, ...], number: int, code: int
) -> None:
    process = _start("sales", "--topic", topic, *count, "--interval", "0.001", "--json")
    _wait_for(settings, topic, 50)
    process.send_signal(number)
    summary = _result(process, code)
    assert summary["failed"] == 0
    assert summary["sent"] == _count(settings, topic) >= 50


def test_a_missing_topic_is_one_sentence_and_nothing_is_made(settings: Settings, topic: str) -> None:
    process = _start("sales", "--topic", f"{topic}x", "--count", "1")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"There is no topic '{topic}x'" in stderr
    assert f"Did you mean '{topic}'" in stderr


def _csv(folder: Path, name: str, rows: int) -> None:
    lines = [f"{536000 + row},A,thing {row},1,2010-12-01 08:26:00,2.55,17850.0,UK" for row in range(rows)]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")


def test_after_kill_9_no_row_is_missing_and_only_the_last_ones_are_twice(
    settings: Settings, topic: str, tmp_path: Path
) -> None:
    folder = tmp_path / "csv"
    _csv(folder, "a.csv", 1_500)
    _csv(folder, "b.csv", 1_500)
    arguments = ["files", "--stream", "retail", "--topic", topic, "--path", str(folder), "--json"]
    process = _start(*arguments, "--rate", "700")
    _wait_for(settings, topic, 1_800)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)

    summary = _result(_start(*arguments))
    assert summary["sent_before"] >= 1_500
    assert summary["sent"] + summary["sent_before"] == 3_000
    rows = Counter((event["_file"], event["_line"]) for event in _values(settings, topic))
    assert set(rows) == {(name, row) for name in ("a.csv", "b.csv") for row in range(1, 1_501)}
    # What was sent after the last note: about one second's rows.
    assert rows.total() - 3_000 < 1_500

    again = _result(_start(*arguments))
    assert (again["sent"], again["sent_before"]) == (0, 3_000)
    assert _result(_start(*arguments, "--restart", "--limit", "10"))["sent"] == 10


def test_values_arrive_as_they_are_in_the_file(settings: Settings, topic: str, tmp_path: Path) -> None:
    _csv(tmp_path / "csv", "a.csv", 1)
    _result(
        _start("files", "--stream", "retail", "--topic", topic, "--path", str(tmp_path / "csv" / "a.csv"), "--json")
    )
    (event,) = _values(settings, topic)
    assert event == {
        "InvoiceNo": "536000",
        "StockCode": "A",
        "Description": "thing 0",
        "Quantity": "1",
        "InvoiceDate": "2010-12-01 08:26:00",
        "UnitPrice": "2.55",
        "CustomerID": "17850.0",
        "Country": "UK",
        "_file": "a.csv",
        "_line": 1,
    }


def test_changes_of_a_table_go_to_its_topic_and_tombstones_are_counted(settings: Settings, topic: str) -> None:
    result = _result(_start("orders", "--count", "150", "--seed", "1", "--topic", topic, "--json"))
    assert (result["topic"], result["sent"], result["failed"], result["seed"]) == (topic, 150, 0, 1)
    assert _count(settings, topic) == 150


def test_devices_are_keyed_by_device(settings: Settings, topic: str) -> None:
    arguments = ("--topic", topic, "--count", "60", "--devices", "5", "--burst", "--seed", "3", "--json")
    summary = _result(_start("devices", *arguments))
    assert (summary["sent"], summary["failed"], summary["devices"]) == (60, 0, 5)
    assert Counter(event["host"] for event in _values(settings, topic)) == {f"device-{n:04d}": 12 for n in range(5)}
