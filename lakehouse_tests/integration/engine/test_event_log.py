"""An embedded Spark that writes its event log: what a job did, and the settings that the server runs with."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.engine.embedded import ports, stack
from lakehouse.engine.profiles import STREAMING_CONF
from lakehouse.engine.spark import connect
from lakehouse.ops.spark_metrics import sample_spark
from lakehouse.settings import load_settings
from lakehouse_tests.stacks import SHORT_LIVED_JAVA


@pytest.mark.slow
def test_jobs_of_the_server_are_written_down(tmp_path: Path) -> None:
    kafka_port = ports.any_free(set())
    ui_port = ports.any_free({kafka_port})
    settings = load_settings(
        LAKEHOUSE_HOME=tmp_path,
        LAKEHOUSE_KAFKA_PORT=kafka_port,
        LAKEHOUSE_SPARK_PORT=ports.any_free({kafka_port, ui_port}),
        LAKEHOUSE_SPARK_MEMORY="1g",
        LAKEHOUSE_JAVA_OPTIONS=SHORT_LIVED_JAVA,
        LAKEHOUSE_SPARK_EVENT_LOG="true",
        LAKEHOUSE_SPARK_UI=ui_port,
    )
    try:
        found = {entry.name: entry.url for entry in stack.start(settings, owner_pid=os.getpid())}
        spark = connect(found["spark"])
        assert spark.sql("select count(*) from range(1000) where id % 7 = 3").collect()[0][0] == 143
        assert settings.spark_ui is not None
        figures = {sample.metric: sample.value for sample in sample_spark(settings.spark_ui)}
        assert (figures["service_up"], figures["spark_executors"], figures["spark_failed_tasks"]) == (1, 1, 0)
        assert figures["spark_completed_tasks"] > 0
        assert figures["spark_memory_limit_bytes"] > 10**8
        spark.stop()
    finally:
        stack.stop(settings)
    events = []
    for file in sorted((tmp_path / "spark" / "events").rglob("events_*")):
        with pa.input_stream(str(file), compression="zstd") as stream:
            events += [json.loads(line) for line in stream.read().decode().splitlines()]
    kinds = {event["Event"] for event in events}
    assert {"SparkListenerJobStart", "SparkListenerTaskEnd", "SparkListenerApplicationEnd"} <= kinds
    (environment,) = [event for event in events if event["Event"] == "SparkListenerEnvironmentUpdate"]
    assert environment["Spark Properties"].items() >= STREAMING_CONF.items()
