"""Rules that change while rejects are on their way: every record ends in silver or in quarantine, none in both."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.lake.guards.locks import LockBusyError, exclusive, lake_lock
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rebuild.kappa import abort, replay
from lakehouse.lake.rejects.discard import discard
from lakehouse.lake.rejects.ids import RecordName
from lakehouse.lake.traces.trace import trace_record
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.story import Topic, assert_whole, drain_once, start_worker
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(days=1)


def with_rule(contract: StreamContract, sql: str, severity: str = "error") -> StreamContract:
    """The same stream with this rule about the number of pieces, and none about the total."""
    rules = [
        rule.model_copy(update={"sql": sql, "severity": severity}) if rule.name == "quantity_positive" else rule
        for rule in contract.rules
        if rule.name != "total_is_gross"
    ]
    return contract.model_copy(update={"rules": rules})


def kill(contract: StreamContract, folder: Path, point: str) -> None:
    worker = start_worker(contract, folder, crash_at=point)
    output, _ = worker.communicate(timeout=240)
    assert worker.returncode == -signal.SIGKILL, output


def pieces(contract: StreamContract, settings: Settings) -> tuple[list[int], list[str]]:
    """What silver has, and the reasons of quarantine."""
    paths = LakePaths.of(settings)
    held = [row[0] for row in rows_of(paths.silver(contract.name), "quantity")]
    reasons = [row[0] for row in rows_of(paths.quarantine(contract.name), "array_to_string(reasons, ',')")]
    return sorted(held), sorted(reasons)


def test_rejects_of_a_step_that_was_killed_are_those_of_todays_rules(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    old = with_rule(sales_on(settings, topic_name("changed")), "quantity not in (1, 6)")
    new = with_rule(old, "quantity <> 4")
    sent = 0
    for first in (1, 3, 5):
        sent += send(settings, old.topic.name, [encode(sale(n, at=NOW, quantity=n)) for n in (first, first + 1)])
        kill(old, tmp_path, "between_bronze_and_silver")
    kill(old, tmp_path, "after_quarantine")
    # Steps of one batch, where the killed one had three.
    drain_once(new, load_settings(LAKEHOUSE_MAX_BATCH_ROWS=2))
    assert pieces(new, settings) == ([1, 2, 3, 5, 6], ["quantity_positive"])
    assert_whole(new, settings, sent)


def test_a_replay_takes_no_more_than_live_silver_has(settings: Settings, topic_name: Topic, tmp_path: Path) -> None:
    contract = with_rule(sales_on(settings, topic_name("behind")), "quantity > 0")
    sent = send(settings, contract.topic.name, [encode(sale(n, at=NOW, quantity=n)) for n in range(3)])
    drain_once(contract, settings)
    sent += send(settings, contract.topic.name, [encode(sale(n, at=NOW, quantity=n - 10)) for n in range(9, 13)])
    kill(contract, tmp_path, "between_bronze_and_silver")

    replay(contract, settings)
    report = verify(settings, [contract])
    assert report.findings == []
    assert report.proofs[0].unmerged == 4
    assert_whole(contract, settings, sent)

    with exclusive(lake_lock(settings, f"replay-{contract.name}"), 0):
        with pytest.raises(LockBusyError):
            replay(contract, settings)
        with pytest.raises(LockBusyError):
            abort(contract, settings)


def test_a_replay_of_some_dates_loses_no_reject_of_others(settings: Settings, topic_name: Topic) -> None:
    old = with_rule(sales_on(settings, topic_name("loosened")), "quantity > 2")
    values = [encode(sale(n, at=at, quantity=n)) for n, at in ((1, YESTERDAY), (2, NOW), (3, NOW), (4, YESTERDAY))]
    sent = send(settings, old.topic.name, values)
    drain_once(old, settings)
    new = with_rule(old, "quantity > 0")
    replay(new, settings, datetime.combine(NOW.date(), datetime.min.time(), UTC))
    assert pieces(new, settings) == ([1, 2, 3, 4], [])
    assert_whole(new, settings, sent)

    # By a stricter rule the row of the date that stays is a reject: it is not in both tables.
    tight = with_rule(old, "quantity < 3")
    replay(tight, settings, datetime.combine(NOW.date(), datetime.min.time(), UTC))
    assert pieces(tight, settings) == ([1, 2, 4], ["quantity_positive"])
    replay(tight, settings)
    assert pieces(tight, settings) == ([1, 2], ["quantity_positive"] * 2)
    assert_whole(tight, settings, sent)


def test_a_backfill_follows_the_rules_in_both_tables_and_takes_nothing_that_is_not_merged(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    old = with_rule(sales_on(settings, topic_name("tightened")), "quantity > 1")
    sent = send(settings, old.topic.name, [encode(sale(n, at=NOW, quantity=n)) for n in range(1, 6)])
    drain_once(old, settings)

    new = with_rule(old, "quantity <> 3")
    rebuild_silver(new, settings, [NOW.date()])
    assert pieces(new, settings) == ([1, 2, 4, 5], ["quantity_positive"])
    assert verify(settings, [new]).findings == []

    sent += send(settings, new.topic.name, [encode(sale(9, at=NOW, quantity=9))])
    kill(new, tmp_path, "between_bronze_and_silver")
    # What a rule of severity fail keeps out of silver is such a record.
    rebuild_silver(new, settings, [NOW.date()])
    assert pieces(new, settings) == ([1, 2, 4, 5], ["quantity_positive"])
    assert_whole(new, settings, sent)


def test_a_trace_tells_what_the_tables_hold_and_bronze_holds_nothing_that_was_not_read(
    settings: Settings, topic_name: Topic
) -> None:
    strict = with_rule(sales_on(settings, topic_name("traced")), "quantity > 1")
    send(settings, strict.topic.name, [encode(sale(n, at=NOW, quantity=n)) for n in (1, 2)])
    drain_once(strict, settings)
    paths = LakePaths.of(settings)
    ((partition, offset),) = rows_of(paths.quarantine(strict.name), 'partition, "offset"')
    ((kept_in, kept_at),) = rows_of(paths.silver(strict.name), "_partition, _offset")
    loose, tight = with_rule(strict, "quantity > 0"), with_rule(strict, "quantity > 2")
    assert trace_record(loose, settings, partition, offset).why.endswith("run: lakehouse quarantine replay")
    held = trace_record(tight, settings, kept_in, kept_at)
    assert (held.state, "though it breaks quantity_positive today" in held.why) == ("in_silver", True)
    discard(strict, settings, [RecordName.parse(f"{partition}:{offset}")], "a test")
    found = trace_record(loose, settings, partition, offset)
    assert (found.state, found.why.partition(" ")[2]) == ("quarantined", "discarded it: a test")

    assert verify(settings, [strict]).findings == []
    spark = connect(settings.spark_remote)
    try:
        row = spark.read.format("delta").load(paths.bronze(strict.name)).limit(1)
        bronze = spark.createDataFrame(row.collect(), row.schema)
        for column, value in (("offset", "999L"), ("batch", "77L"), ("partition", "9")):
            odd = bronze.selectExpr("*").withColumn(column, bronze[column] * 0 + int(value.rstrip("L")))
            odd.selectExpr(*(f"cast({name} as {kind}) as {name}" for name, kind in bronze.dtypes)).write.format(
                "delta"
            ).mode("append").save(paths.bronze(strict.name))
    finally:
        spark.stop()
    problems = " · ".join(finding.problem for finding in verify(settings, [strict]).findings)
    assert "offset 999 is there, but no batch has read it" in problems
    assert "batch 77: 1 rows are there that no commit wrote" in problems
    assert "partition 9 of topic" in problems
