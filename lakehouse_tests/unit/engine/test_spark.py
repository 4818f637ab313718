"""Waiting for Spark, and which errors mean that it went away."""

import socket
import time

import pytest
from typer.testing import CliRunner

from lakehouse.cli.config import app as config
from lakehouse.engine import spark, spark_address
from lakehouse.errors import BrokerUnreachableError, SparkUnreachableError


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("sc://127.0.0.1:15002", ("127.0.0.1", 15002)),
        ("sc://spark.example", ("spark.example", 15002)),
        ("sc://spark.example:443/;use_ssl=true", ("spark.example", 443)),
    ],
)
def test_address(remote, expected):
    assert spark_address.address(remote) == expected


def test_a_token_is_never_shown(monkeypatch):
    remote = "sc://127.0.0.1:1/;token=canary"
    assert spark_address.shown(remote) == "sc://127.0.0.1:1"
    with pytest.raises(SparkUnreachableError) as caught:
        spark.connect(remote, timeout_seconds=0.1)
    assert "canary" not in f"{caught.value.problem} {caught.value.why} {caught.value.fix}"
    monkeypatch.setenv("SPARK_REMOTE", remote)
    for arguments in ([], ["--json"]):
        result = CliRunner().invoke(config, arguments)
        assert result.exit_code == 0
        assert "127.0.0.1:1" in result.stdout
        assert "canary" not in result.stdout


def test_closed_port_fails_in_the_given_time_and_says_what_to_start():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(SparkUnreachableError, match=f"127.0.0.1:{port}") as caught:
        spark.connect(f"sc://127.0.0.1:{port}", timeout_seconds=0.3)
    assert time.monotonic() - began < 15
    assert "lakehouse up" in caught.value.fix


@pytest.mark.parametrize(
    "message",
    [
        "[INVALID_HANDLE.SESSION_NOT_FOUND] The handle is invalid. Session not found.",
        "[INVALID_HANDLE.SESSION_CHANGED] The existing Spark server driver instance has restarted.",
        "[NO_ACTIVE_SESSION] No active Spark session found. Please create a new Spark session before running the code.",
        "<_MultiThreadedRendezvous: status = StatusCode.UNAVAILABLE, details = Socket closed>",
    ],
)
def test_lost_session_becomes_a_typed_error(message):
    from pyspark.errors import PySparkException

    with pytest.raises(SparkUnreachableError, match="went away"), spark.spark_errors():
        raise PySparkException(message)


@pytest.mark.parametrize(
    "message",
    [
        "(j.u.c.ExecutionException) org.apache.kafka.common.errors.TimeoutException: Timed out. Call: listNodes",
        "java.util.concurrent.TimeoutException: Cannot fetch record for offset 7 in 120000 milliseconds",
    ],
)
def test_a_broker_that_spark_waited_for_in_vain_is_a_typed_error(message):
    from pyspark.errors import PySparkException

    with pytest.raises(BrokerUnreachableError, match="not committed"), spark.spark_errors():
        raise PySparkException(message)


def test_other_errors_pass_unchanged():
    from pyspark.errors import AnalysisException

    with pytest.raises(AnalysisException), spark.spark_errors():
        raise AnalysisException("[UNRESOLVED_COLUMN] no such column")
