"""Kill the worker or Spark anywhere in a micro-batch, run again: nothing is lost, nothing is there twice."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from deltalake import DeltaTable

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine.crash import DRAIN_POINTS
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.spark import connect
from lakehouse.errors import BatchConflictError, SchemaIncompatibleError, SparkUnreachableError
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.lake.silver import SilverWriter, Step
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import Topic, append, assert_whole, data_files, some_records, start_worker, wait_for
from lakehouse_tests.stacks import own_spark
from lakehouse_tests.streams import sales_on, send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def test_sigkill_at_every_point_of_a_micro_batch(settings: Settings, topic_name: Topic, tmp_path: Path) -> None:
    """One stream, killed at one point after the other; each run finds what the killed one left behind."""
    contract = sales_on(settings, topic_name("killed"))
    sent = 0
    for number, point in enumerate(DRAIN_POINTS):
        sent += send(settings, contract.topic.name, some_records(number * 100, 30))
        worker = start_worker(contract, tmp_path, crash_at=point)
        worker.communicate(timeout=200)
        assert worker.returncode == -signal.SIGKILL, f"{point} was never reached"
    assert_whole(contract, settings, sent)


def test_two_drains_at_once_share_the_work_without_doubling_it(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    contract = sales_on(settings, topic_name("raced"))
    values = some_records(0, 200)
    send(settings, contract.topic.name, values)
    workers = [start_worker(contract, tmp_path) for _ in range(2)]
    outputs = [worker.communicate(timeout=250)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)
    assert_whole(contract, settings, len(values))


def test_a_zombie_with_a_stale_plan_changes_nothing(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("zombie"))
    values = some_records(0, 30)
    send(settings, contract.topic.name, values)
    spark = connect(settings.spark_remote)
    try:
        ensure_tables(spark, contract, LakePaths.of(settings))
        with TopicReader(settings) as topics:
            asleep = BronzeWriter(contract, settings, spark, topics)
            stale, _ = asleep.plan(10)
            assert stale is not None
            drain(contract, settings, budget_seconds=240, idle_seconds=0)
            with pytest.raises(BatchConflictError):
                append(asleep, stale)
    finally:
        spark.stop()
    assert_whole(contract, settings, len(values))


def fallen_asleep(contract: StreamContract, settings: Settings, spark: "SparkSession") -> tuple[SilverWriter, Step]:
    """A writer of silver that knows its next step, of records that only bronze has, and has not begun it."""
    with TopicReader(settings) as topics:
        writer = BronzeWriter(contract, settings, spark, topics)
        plan, waiting = writer.plan(1000)
        assert plan is not None
        append(writer, plan, waiting)
    asleep = SilverWriter(contract, settings, spark)
    stale = asleep.next_step(1000)
    assert stale is not None
    return asleep, stale


def test_a_silver_zombie_with_a_stale_step_changes_nothing(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("zombie"))
    values = some_records(0, 30)
    send(settings, contract.topic.name, values)
    spark = connect(settings.spark_remote)
    try:
        ensure_tables(spark, contract, LakePaths.of(settings))
        asleep, stale = fallen_asleep(contract, settings, spark)
        more = some_records(50, 20)
        send(settings, contract.topic.name, more)
        drain(contract, settings, budget_seconds=240, idle_seconds=0)
        with pytest.raises(BatchConflictError, match="merged by another writer"):
            asleep.merge(stale)
    finally:
        spark.stop()
    assert_whole(contract, settings, len(values) + len(more))


def test_a_silver_zombie_of_a_former_contract_changes_nothing(settings: Settings, topic_name: Topic) -> None:
    """Its step was judged before another run brought silver up to the contract of today."""
    old = sales_on(settings, topic_name("former"))
    values = [*some_records(0, 30), b"no event"]
    send(settings, old.topic.name, values)
    loyalty = FieldSpec(name="loyalty", type="integer", description="Points.", nullable=True)
    new = old.model_copy(update={"fields": [*old.fields, loyalty]})
    paths = LakePaths.of(settings)
    spark = connect(settings.spark_remote)
    try:
        ensure_tables(spark, old, paths)
        asleep, stale = fallen_asleep(old, settings, spark)
        ensure_tables(spark, new, paths)
        before = [current_version(table) for table in (paths.silver(old.name), paths.quarantine(old.name))]
        with pytest.raises(SchemaIncompatibleError, match="brought up to another version of the contract"):
            asleep.merge(stale)
        assert [current_version(table) for table in (paths.silver(old.name), paths.quarantine(old.name))] == before
    finally:
        spark.stop()
    drain(new, settings, budget_seconds=240, idle_seconds=0)
    assert_whole(new, settings, len(values))


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Settings]:
    """A Spark that a test may kill."""
    with own_spark(tmp_path / "mortal") as own:
        yield own


def test_spark_killed_between_files_and_commit(mortal: Settings, settings: Settings, topic_name: Topic) -> None:
    """The server dies when the batch's first file is there and its commit is not; the supervisor brings it back."""
    settings = settings.model_copy(update={"spark_remote": mortal.spark_remote})
    contract = sales_on(settings, topic_name("plug"))
    sent = send(settings, contract.topic.name, some_records(0, 30))
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    sent += send(settings, contract.topic.name, some_records(100, 20_000))
    bronze = LakePaths.of(settings).bronze(contract.name)
    before = data_files(bronze)
    victim = next(entry for entry in embedded.status(mortal) if entry.name == "spark")
    killed = threading.Event()

    def kill_when_a_file_appears() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if data_files(bronze) - before:
                psutil.Process(victim.pid).kill()
                killed.set()
                return

    watcher = threading.Thread(target=kill_when_a_file_appears)
    watcher.start()
    with pytest.raises(SparkUnreachableError):
        drain(contract, settings, budget_seconds=240, idle_seconds=0)
    watcher.join()
    assert killed.is_set()
    assert data_files(bronze) == before, "what was written for no commit is taken away"
    assert_whole(contract, settings, sent)
    assert {path.name for path in data_files(bronze)} == {Path(name).name for name in DeltaTable(bronze).file_uris()}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_a_worker_that_is_asked_to_end_does_so_in_time(
    settings: Settings, topic_name: Topic, tmp_path: Path, ending: signal.Signals
) -> None:
    """In mid-batch: SIGTERM ends the process, SIGINT is what Dagster makes of a cancelled run inside the op."""
    contract = sales_on(settings, topic_name("asked"))
    sent = send(settings, contract.topic.name, some_records(0, 4_000))
    worker = start_worker(contract, tmp_path)
    bronze = LakePaths.of(settings).bronze(contract.name)
    wait_for(lambda: data_files(bronze) or worker.poll() is not None, 120)
    began = time.monotonic()
    worker.send_signal(ending)
    output = worker.communicate(timeout=60)[0]
    assert worker.returncode in {-ending, 1}, output
    assert time.monotonic() - began < 20, "Dagster kills a cancelled run after 120 s"
    assert_whole(contract, settings, sent)
