"""The embedded stack on real Kafka and Spark: killed, taken over, stopped without a trace."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from lakehouse.engine import spark as spark_client
from lakehouse.engine.embedded import kafka, ports, processes, stack
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.engine.profiles import session_conf
from lakehouse.errors import SparkUnreachableError
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.stacks import SHORT_LIVED_JAVA

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Iterator[Settings]:
    """A stack that these tests may kill; the session's own stays untouched."""
    home = tmp_path_factory.mktemp("killed")
    settings = load_settings(
        LAKEHOUSE_HOME=home,
        LAKEHOUSE_KAFKA_PORT=ports.any_free(set()),
        LAKEHOUSE_SPARK_PORT=ports.any_free(set()),
        LAKEHOUSE_SPARK_MEMORY="700m",
        LAKEHOUSE_KAFKA_MEMORY="256m",
        LAKEHOUSE_JAVA_OPTIONS=SHORT_LIVED_JAVA,
    )
    try:
        stack.start(settings, owner_pid=os.getpid())
        yield settings
    finally:
        stack.stop(settings)


def entry(settings: Settings, name: str) -> stack.ServiceStatus:
    return next(found for found in stack.status(settings) if found.name == name)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.1)


def cli(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lakehouse.cli.main", *arguments],
        env={**os.environ, "LAKEHOUSE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_both_answer_and_listen_on_the_loopback_interface_only(own):
    kafka.ask(entry(own, "kafka").url, 10)
    spark_client.ask(entry(own, "spark").url, 10)
    for service in stack.status(own):
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(service.pid).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_second_up_changes_nothing_and_says_so(own):
    before = stack.status(own)
    result = cli(own, "up", "--json")
    assert result.returncode == 0
    assert "already up" in result.stderr
    assert [service["pid"] for service in json.loads(result.stdout)] == [service.pid for service in before]


def test_health_of_the_running_stack(own):
    result = cli(own, "health", "--json")
    states = {part["name"]: part["state"] for part in json.loads(result.stdout)["parts"]}
    assert result.returncode == 0
    assert (states["kafka"], states["spark"]) == ("healthy", "healthy")


def test_session_settings_reach_the_server(own):
    session = spark_client.connect(entry(own, "spark").url)
    try:
        for key, value in session_conf("local").items():
            assert session.conf.get(key) == value
    finally:
        session.stop()


def test_a_session_closed_within_a_call_to_the_helper_pool_does_not_wait_for_itself(own):
    """The garbage collector may close a forgotten session anywhere, also while the shared pool holds its lock."""
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator as Answer

    url = entry(own, "spark").url
    forgotten, other = spark_client.connect(url), spark_client.connect(url)
    try:
        closing = threading.Thread(target=forgotten.stop, daemon=True)
        with Answer._get_or_create_release_thread_pool()._shutdown_lock:
            closing.start()
            closing.join(timeout=30)
            is_stuck = closing.is_alive()
        assert not is_stuck
        assert other.sql("select 1").collect()[0][0] == 1
    finally:
        other.stop()


def test_killed_spark_is_back_on_its_port_and_the_old_session_fails_with_a_typed_error(own):
    before = entry(own, "spark")
    session = spark_client.connect(before.url)
    assert session.range(3).count() == 3
    os.kill(before.pid, signal.SIGKILL)
    with pytest.raises(SparkUnreachableError), spark_client.spark_errors(before.url):
        session.range(3).count()
    wait_for(lambda: entry(own, "spark").restarts > before.restarts and entry(own, "spark").state == "running")
    after = entry(own, "spark")
    assert (after.port, after.restarts) == (before.port, before.restarts + 1)
    assert after.pid != before.pid
    spark_client.ask(after.url, 60)


def test_killed_supervisor_leaves_services_that_the_next_up_takes_over(own):
    supervisor = StackFiles(own.home).supervisor()
    assert supervisor is not None
    pids = {service.pid for service in stack.status(own)}
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_for(lambda: StackFiles(own.home).supervisor() is None)
    assert all(psutil.pid_exists(pid) for pid in pids)
    stack.start(own, owner_pid=os.getpid())
    assert {service.pid for service in stack.status(own)} == pids
    successor = StackFiles(own.home).supervisor()
    assert successor is not None
    assert successor.pid != supervisor.pid


@pytest.mark.slow
def test_frozen_service_without_supervisor_is_replaced(own, monkeypatch):
    supervisor = StackFiles(own.home).supervisor()
    assert supervisor is not None
    frozen = entry(own, "kafka").pid
    os.kill(supervisor.pid, signal.SIGKILL)
    os.kill(frozen, signal.SIGSTOP)
    monkeypatch.setattr(stack, "QUICK_ANSWER_SECONDS", 3)
    stack.start(own, owner_pid=os.getpid())
    assert entry(own, "kafka").pid != frozen
    kafka.ask(entry(own, "kafka").url, 10)


def test_down_leaves_no_process_even_without_a_supervisor(own):
    supervisor = StackFiles(own.home).supervisor()
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    began = time.monotonic()
    result = cli(own, "down")
    assert "stopped: kafka, spark" in result.stderr
    assert time.monotonic() - began < 40
    assert processes.marked(str(own.home)) == []
    assert not (own.home / "endpoints.json").exists()
    assert stack.status(own) == []
