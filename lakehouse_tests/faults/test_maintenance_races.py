"""Maintenance that is killed, and maintenance at the same time as drains and readers: the rows are exact throughout."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import delta_connection
from lakehouse.lake.drain import drain
from lakehouse.lake.maintenance.compaction_plan import ENOUGH_SMALL
from lakehouse.lake.maintenance.table_files import TableStats, data_files
from lakehouse.lake.maintenance.upkeep import TableReport, maintain_events, maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, sale, sales_on, send

_SECONDS = 120
pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]


def some_sales(first: int, count: int) -> list[bytes]:
    """Good sales of one category, every tenth broken; each is the only one of its key."""
    return [
        encode(sale(n, category="Books", **({"quantity": 0} if n % 10 == 0 else {})))
        for n in range(first, first + count)
    ]


def assert_whole(contract: StreamContract, settings: Settings, sent: int) -> None:
    report = verify(settings, [contract])
    assert report.findings == []
    proof = report.proofs[0]
    assert (proof.bronze, proof.waiting, proof.unmerged) == (sent, 0, 0)
    assert proof.silver + proof.quarantined == sent


@pytest.mark.slow
def test_maintenance_killed_between_tables_is_finished_by_the_next(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    contract = sales_on(settings, topic_name("halfway"))
    sent = send(settings, contract.topic.name, some_sales(0, 40))
    drain(contract, settings.model_copy(update={"max_batch_rows": 8}), budget_seconds=240, idle_seconds=0)
    file = tmp_path / "contract.json"
    file.write_text(contract.model_dump_json(), encoding="utf-8")
    worker = subprocess.run(
        [sys.executable, "-m", "lakehouse_tests.faults.maintenance_worker", str(file)],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": "after_compaction"},
        timeout=200,
        check=False,
    )
    assert worker.returncode == -signal.SIGKILL
    paths = LakePaths.of(settings)
    assert TableStats.of(data_files(paths.bronze(contract.name))).most_per_partition == 1
    assert TableStats.of(data_files(paths.silver(contract.name))).most_per_partition >= ENOUGH_SMALL
    assert_whole(contract, settings, sent)

    reports = {report.layer: report for report in maintain_stream(contract, settings)}
    assert (bool(reports["bronze"].compacted), bool(reports["silver"].compacted)) == (False, True)
    sent += send(settings, contract.topic.name, some_sales(1_000, 10))
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    assert_whole(contract, settings, sent)


class Beside:
    """Repeats work in a thread until told to stop; keeps the first failure and how often it was done."""

    def __init__(self, work: Callable[[], None], stop: threading.Event) -> None:
        self.rounds = 0
        self.failure: BaseException | None = None
        self._work = work
        self._stop = stop
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._work()
                self.rounds += 1
                # Readers that ask without a pause would take the processors from what they are to race with.
                self._stop.wait(0.2)
        except BaseException as failure:  # noqa: BLE001 - raised by the test
            self.failure = failure


class Reader:
    """Looks at the newest bronze and silver; no row may be there twice, and none may vanish."""

    def __init__(self, settings: Settings, contract: StreamContract) -> None:
        paths = LakePaths.of(settings)
        self._bronze, self._silver, self._events = (
            paths.bronze(contract.name),
            paths.silver(contract.name),
            paths.events,
        )
        self._seen = {"bronze": 0, "silver": 0, "arrow": 0}

    def as_gold(self) -> None:
        """DuckDB's `delta_scan`, which gold reads silver with."""
        with delta_connection() as duck:
            for layer, path, key in (
                ("bronze", self._bronze, 'partition, "offset"'),
                ("silver", self._silver, "order_id"),
            ):
                found = duck.execute(f"select count(*), count(distinct ({key})) from delta_scan('{path}')").fetchone()
                assert found is not None
                self._check(layer, *found)

    def as_python(self) -> None:
        """Delta-rs, as notebooks use it."""
        from deltalake import DeltaTable

        table = DeltaTable(self._bronze).to_pyarrow_table(columns=["partition", "offset"])
        keys = set(zip(table["partition"].to_pylist(), table["offset"].to_pylist(), strict=True))
        self._check("arrow", table.num_rows, len(keys))
        DeltaTable(self._events).to_pyarrow_table()

    def _check(self, layer: str, rows: int, distinct: int) -> None:
        assert rows == distinct, f"{layer}: {rows} rows, {distinct} different"
        assert rows >= self._seen[layer], f"{layer}: {self._seen[layer]} rows before, {rows} now"
        self._seen[layer] = rows


@pytest.mark.slow
def test_drains_maintenance_and_readers_at_once(settings: Settings, topic_name: Topic, tmp_path: Path) -> None:
    """Maintenance works from another state folder, as on another machine: no lock keeps it and merges apart."""
    contract = sales_on(settings, topic_name("busy"))
    small = settings.model_copy(update={"max_batch_rows": 10})
    sent = send(settings, contract.topic.name, some_sales(0, 60))
    drain(contract, small, budget_seconds=240, idle_seconds=0)
    elsewhere = settings.model_copy(update={"home": tmp_path / "elsewhere"})
    reports: list[TableReport] = []

    def maintain() -> None:
        reports.extend(maintain_stream(contract, elsewhere))
        maintain_events(elsewhere)

    stop = threading.Event()
    reader = Reader(settings, contract)
    beside = [Beside(work, stop) for work in (maintain, reader.as_gold, reader.as_python)]
    deadline = time.monotonic() + _SECONDS
    drains = 0
    try:
        while time.monotonic() < deadline or drains < 2:
            drains += 1
            sent += send(settings, contract.topic.name, some_sales(drains * 1_000, 40))
            drain(contract, small, budget_seconds=240, idle_seconds=0)
    finally:
        stop.set()
        for other in beside:
            other.thread.join()
    print(f"{drains} drains, rounds of maintenance and the two readers: {[other.rounds for other in beside]}")
    assert [other.failure for other in beside] == [None, None, None]
    assert all(other.rounds for other in beside)
    assert {report.layer for report in reports if report.compacted} >= {"bronze", "silver"}
    assert_whole(contract, settings, sent)
