"""Rows that the contract keeps no longer: deleted once, archived once, counted by verify, kept in silver."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from lakehouse.cli import retention
from lakehouse.cli.verify import describe
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Retention
from lakehouse.engine.duck import delta_connection
from lakehouse.errors import UsageError
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.guards import durable
from lakehouse.lake.ledger import current_version
from lakehouse.lake.maintenance.retention import NOTHING, expire
from lakehouse.lake.maintenance.table_files import data_files
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild import kappa
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.schema.retained import closed_before, deleted
from lakehouse.lake.traces.answer import NotFoundError
from lakehouse.lake.traces.trace import trace_key, trace_record
from lakehouse.lake.verify import StreamProof, verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
TODAY = datetime.now(UTC).date()
LONG_AGO, LATER, NOW = TODAY - timedelta(days=40), TODAY - timedelta(days=20), TODAY
KEPT_SINCE = TODAY - timedelta(days=30)
KEPT = Retention.model_validate({"bronze": "30d", "quarantine": "10d", "archive": True})
Stream = Callable[[Retention], StreamContract]


@pytest.fixture
def stream(settings: Settings, topic_name: Callable[[str], str]) -> Stream:
    """A stream whose records have the arrival days that their sender gives them."""

    def make(retention: Retention) -> StreamContract:
        base = sales_on(settings, "unused_" + topic_name("old"), retention=retention)
        config = {"message.timestamp.type": "CreateTime"}
        # Longer than the records are old: the broker itself would delete them, sooner or later.
        kept = timedelta(days=400)
        topic = base.topic.model_copy(update={"name": topic_name("old"), "config": config, "retention": kept})
        contract = base.model_copy(update={"topic": topic})
        apply_topics(settings, desired_topics([contract]))
        return contract

    return make


def send_on(settings: Settings, contract: StreamContract, day: date, numbers: range) -> None:
    """Sales that happened and arrived on a day; every fifth is broken."""
    from confluent_kafka import Producer

    moment = datetime.combine(day, time(0, 0, 5), UTC)
    producer = Producer(producer_config(settings))
    for n in numbers:
        value = encode(sale(n, at=moment, **({"quantity": 0} if n % 5 == 0 else {})))
        producer.produce(contract.topic.name, value=value, timestamp=round(moment.timestamp() * 1000))
    assert producer.flush(30) == 0


def days_of(path: str, column: str = "arrival_date") -> dict[date, int]:
    """Rows per day."""
    with delta_connection() as duck:
        return dict(duck.execute(f"select {column}, count(*) from delta_scan(?) group by 1", [path]).fetchall())


def archived(paths: LakePaths, contract: StreamContract, layer: str) -> list[tuple[int, int]]:
    """Partition and offset of every archived row, sorted."""
    import duckdb

    files = f"{paths.archive(layer, contract.name)}/**/*.parquet"
    return sorted(duckdb.sql(f"select partition, \"offset\" from read_parquet('{files}')").fetchall())


def test_old_days_are_archived_and_deleted_and_verify_counts_them(
    settings: Settings, stream: Stream, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = stream(KEPT)
    paths = LakePaths.of(settings)
    bronze, silver, quarantine = (getattr(paths, layer)(contract.name) for layer in ("bronze", "silver", "quarantine"))
    for day, numbers in ((LONG_AGO, range(30)), (LATER, range(100, 120)), (NOW, range(200, 210))):
        send_on(settings, contract, day, numbers)
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    before = {path: current_version(path) for path in (bronze, quarantine)}
    old, content = _of_day(bronze, LONG_AGO), _rows_of(bronze, LONG_AGO)

    planned = {layer: expire(spark, contract, paths, layer, dry_run=True) for layer in ("bronze", "quarantine")}
    assert (planned["bronze"].days, planned["bronze"].rows) == ((str(LONG_AGO),), 30)
    assert (planned["quarantine"].days, planned["quarantine"].rows) == ((str(LONG_AGO), str(LATER)), 10)
    assert before == {path: current_version(path) for path in (bronze, quarantine)}, "a dry run writes nothing"

    synced: dict[Path, int | None] = {}
    monkeypatch.setattr(durable, "fsync", lambda target: synced.setdefault(Path(target), current_version(bronze)))
    settled = settings.model_copy(update={"durability": "fsync"})
    done = {report.layer: report.expired for report in maintain_stream(contract, settled)}
    copies = [*Path(paths.archive("bronze", contract.name)).rglob("*.parquet")]
    assert copies
    assert {synced.get(file) for file in copies} == {before[bronze]}, "on the disk before anything is deleted"
    assert done == {**planned, "silver": NOTHING}
    assert days_of(bronze) == {LATER: 20, NOW: 10}
    assert days_of(quarantine) == {NOW: 2}
    assert days_of(silver, "event_date") == {LONG_AGO: 24, LATER: 16, NOW: 8}, "silver keeps what was made of them"
    assert archived(paths, contract, "bronze") == old
    assert DeltaTable(bronze).metadata().configuration["delta.appendOnly"] == "true"

    # A record that is gone says why. Its day comes back beside the table, once.
    partition, offset = old[0]
    with pytest.raises(NotFoundError, match=f"was read on {LONG_AGO}, and retention has deleted") as refused:
        trace_record(contract, settings, partition, offset)
    assert f"lakehouse retention restore sales --day {LONG_AGO}" in refused.value.fix
    with pytest.raises(NotFoundError, match=f"retention has deleted arrival days before {KEPT_SINCE}"):
        trace_key(contract, settings, [sale(1)["order_id"]], None)
    for written in (True, False):
        (back,) = _said("restore", "sales", "--day", str(LONG_AGO))
        assert (back["rows"], back["written"]) == (30, written)
    assert _of_day(paths.restored("bronze", contract.name), LONG_AGO) == old
    assert _rows_of(paths.restored("bronze", contract.name)) == content
    listed = {(day["layer"], day["day"]): (day["rows"], day["is_restored"]) for day in _said("list", "sales")}
    assert listed == {
        ("bronze", str(LONG_AGO)): (30, True),
        ("quarantine", str(LONG_AGO)): (6, False),
        ("quarantine", str(LATER)): (4, False),
    }
    assert days_of(bronze) == {LATER: 20, NOW: 10}, "the live table is as retention left it"

    (proof,) = _proved(settings, contract)
    assert (proof.expired, proof.unproved, proof.closed) == (30, 24, 0)
    assert (proof.bronze, proof.silver, proof.quarantined, proof.repeats) == (30, 24, 2, 0)
    assert "30 deleted by retention" in describe(proof)

    # What would compute closed dates from bronze leaves them as they are, or refuses.
    closed = closed_before(contract, paths)
    assert closed is not None
    assert LONG_AGO < closed <= LATER
    (report,) = rebuild_silver(contract, settings, [LONG_AGO])
    assert "kept as it is" in report.note
    assert days_of(silver, "event_date") == {LONG_AGO: 24, LATER: 16, NOW: 8}
    with pytest.raises(UsageError, match=f"can be replayed from {closed} on"):
        kappa.replay(contract, settings)

    # A repeated run deletes nothing more, and what is lost for another reason is still found.
    version = current_version(bronze)
    assert expire(spark, contract, paths, "bronze") == NOTHING
    assert current_version(bronze) == version
    facts = rows_of(paths.events, "layer, kind, rows")
    assert ("bronze", "restore", 30) in facts
    assert sorted(fact for fact in facts if fact[1] == "retention") == [
        ("bronze", "retention", 30),
        ("quarantine", "retention", 10),
    ]
    lost = data_files(bronze)[0]
    next(Path(bronze).rglob(lost.name)).unlink()
    assert not verify(settings, [contract]).ok


@pytest.mark.slow
def test_a_run_killed_anywhere_deletes_archives_and_counts_each_row_once(
    settings: Settings, stream: Stream, tmp_path: Path
) -> None:
    contract = stream(KEPT)
    paths = LakePaths.of(settings)
    bronze = paths.bronze(contract.name)
    send_on(settings, contract, LONG_AGO, range(30))
    send_on(settings, contract, NOW, range(200, 210))
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    old = _of_day(bronze, LONG_AGO)
    file = tmp_path / "contract.json"
    file.write_text(contract.model_dump_json(), encoding="utf-8")
    for point in ("retention_after_archive", "retention_after_note", "retention_after_delete"):
        worker = subprocess.run(
            [sys.executable, "-m", "lakehouse_tests.faults.maintenance_worker", str(file)],
            env={**os.environ, "LAKEHOUSE_CRASH_AT": point},
            timeout=200,
            check=False,
        )
        assert worker.returncode == -signal.SIGKILL
        (proof,) = _proved(settings, contract)
        assert proof.silver + proof.unproved == 32
    maintain_stream(contract, settings)
    # A batch of the old day that was drained late is deleted by a run of its own.
    send_on(settings, contract, LONG_AGO, range(50, 60))
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    old += [row for row in _of_day(bronze, LONG_AGO) if row not in old]
    maintain_stream(contract, settings)
    assert archived(paths, contract, "bronze") == sorted(old)
    gone = deleted(bronze)
    assert gone is not None
    assert gone.total == len(old) == 40
    assert DeltaTable(bronze).metadata().configuration["delta.appendOnly"] == "true"
    (proof,) = _proved(settings, contract)
    assert (proof.expired, proof.bronze) == (40, 10)


def _of_day(bronze: str, day: date) -> list[tuple[int, int]]:
    with delta_connection() as duck:
        sql = 'select partition, "offset" from delta_scan(?) where arrival_date = ? order by all'
        return duck.execute(sql, [bronze, day]).fetchall()


def _rows_of(table: str, day: date | None = None) -> list[tuple[object, ...]]:
    """Whole rows, of one day or all, by place."""
    with delta_connection() as duck:
        where = f"where arrival_date = '{day}'" if day else ""
        return duck.execute(f'from delta_scan(?) {where} order by partition, "offset"', [table]).fetchall()


def _said(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(retention.app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _proved(settings: Settings, contract: StreamContract) -> list[StreamProof]:
    report = verify(settings, [contract])
    assert report.findings == []
    return report.proofs
