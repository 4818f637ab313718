"""The broker is not there, dies, or falls silent while a batch is read: typed, tried again, exact."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.errors import BrokerUnreachableError
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.reports import BatchReport
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.story import Topic, assert_whole, data_files, drain_once, some_records, wait_for
from lakehouse_tests.stacks import SHORT_LIVED_JAVA
from lakehouse_tests.streams import sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A supervised broker that these tests may kill; Spark is the session's."""
    own = load_settings(
        LAKEHOUSE_HOME=tmp_path_factory.mktemp("broker"),
        LAKEHOUSE_KAFKA_PORT=ports.any_free(set()),
        LAKEHOUSE_KAFKA_MEMORY="256m",
        LAKEHOUSE_JAVA_OPTIONS=SHORT_LIVED_JAVA,
    )
    try:
        embedded.start(own, ["kafka"], owner_pid=os.getpid())
        yield own
    finally:
        embedded.stop(own)


def process_of(broker: Settings) -> psutil.Process:
    (entry,) = embedded.status(broker)
    return psutil.Process(entry.pid)


@pytest.fixture
def on_it(settings: Settings, broker: Settings) -> Settings:
    """This test's lake, fed by that broker."""
    (entry,) = embedded.status(broker)
    return settings.model_copy(update={"kafka_bootstrap_servers": entry.url})


def test_no_broker_is_known_at_once_and_moves_nothing(settings: Settings, on_it: Settings, topic_name: Topic) -> None:
    contract = sales_on(on_it, topic_name("absent"))
    sent = send(on_it, contract.topic.name, some_records(0, 10))
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{ports.any_free(set())}"})
    began = time.monotonic()
    with pytest.raises(BrokerUnreachableError, match="connection refused") as caught:
        drain_once(contract, nowhere)
    assert time.monotonic() - began < 10
    assert caught.value.retryable
    assert current_version(LakePaths.of(nowhere).bronze(contract.name)) in {None, 0}
    assert_whole(contract, on_it, sent)


def test_broker_killed_in_the_middle_of_a_batch(broker: Settings, on_it: Settings, topic_name: Topic) -> None:
    contract = sales_on(on_it, topic_name("struck"))
    sent = send(on_it, contract.topic.name, some_records(0, 30))
    drain_once(contract, on_it)
    path = LakePaths.of(on_it).bronze(contract.name)

    sent += send(on_it, contract.topic.name, some_records(100, 20_000))
    before, victim = data_files(path), process_of(broker)

    def kill_when_a_file_appears() -> None:
        wait_for(lambda: data_files(path) - before, 120)
        victim.kill()

    killer = threading.Thread(target=kill_when_a_file_appears)
    killer.start()
    try:
        drain_once(contract, on_it)
    except BrokerUnreachableError:
        pass
    finally:
        killer.join()
    wait_for(lambda: process_of(broker).pid != victim.pid)
    wait_for(lambda: ports.is_open(embedded.status(broker)[0].port))
    assert_whole(contract, on_it, sent)


@pytest.mark.slow
def test_broker_silent_between_two_batches(broker: Settings, on_it: Settings, topic_name: Topic) -> None:
    contract = sales_on(on_it, topic_name("silent"))
    sent = send(on_it, contract.topic.name, some_records(0, 100))
    silent = process_of(broker)
    back = threading.Timer(14, lambda: silent.send_signal(signal.SIGCONT))

    def fall_silent(done: BatchReport) -> None:
        if done.layer == "bronze" and not back.is_alive():
            silent.send_signal(signal.SIGSTOP)
            back.start()

    # So large that none is begun behind the first: what Spark reads already outlasts the silence.
    large = on_it.model_copy(update={"max_batch_rows": 80})
    try:
        with pytest.raises(BrokerUnreachableError):
            drain(contract, large, budget_seconds=240, idle_seconds=0, report=fall_silent)
    finally:
        back.join()
    assert_whole(contract, on_it, sent)
