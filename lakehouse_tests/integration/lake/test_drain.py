"""From Kafka to silver and quarantine on the real parts: everything sent is accounted for, once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec, Rule
from lakehouse.errors import DiskFullError, ForeignLakeError, QualityStopError
from lakehouse.kafka.client import client_config
from lakehouse.lake import drain as drains
from lakehouse.lake.bronze import today
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import merged_through
from lakehouse.lake.maintenance import compaction_plan
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.lake.monitoring.progress import backlog
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.checks import evaluate_rules
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.repair.bronze_day import verify_bronze_day
from lakehouse.lake.reports import BatchReport, DrainSummary
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]


def run(contract: StreamContract, settings: Settings, **options: Any) -> tuple[DrainSummary, list[BatchReport]]:
    reports: list[BatchReport] = []
    summary = drain(contract, settings, budget_seconds=240, idle_seconds=0, report=reports.append, **options)
    return summary, reports


def read_all(settings: Settings, topic: str, count: int) -> list[Any]:
    """`count` records of a topic of one partition, from its beginning."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(client_config(settings, group_id="reader", enable_auto_commit=False))
    # Assigned, not subscribed: joining a group takes the broker's time and proves nothing here.
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[Any] = []
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    try:
        while len(found) < count and datetime.now(UTC) < deadline:
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                found.append(message)
    finally:
        consumer.close()
    return found


def test_every_record_is_accounted_for_once(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("sales"))
    now = datetime.now(UTC)
    good = [sale(n, at=now) for n in range(200)]
    corrected = [event | {"store_location": "Boston", "sale_timestamp": now.isoformat()} for event in good[:7]]
    broken = [encode(sale(900, quantity=-1)), b"{", b"\xff", None, encode(sale(901, order_id=None))]
    values = [*(encode(event) for event in [*good, *good[:5], *corrected]), *broken]
    assert send(settings, contract.topic.name, values) == 217

    waiting = backlog(contract, settings)
    assert (waiting.total, waiting.days, waiting.last_batch) == (217, [(today(), 217)], -1)
    summary, reports = run(contract, settings)
    assert (summary.bronze_rows, summary.silver_rows, summary.rejected, summary.reason) == (217, 200, 5, "idle")
    silver = [report for report in reports if report.layer == "silver"]
    assert sum(report.duplicates for report in silver) == 12
    reasons = {name for report in silver for name in report.rejected_by_rule}
    assert reasons == {
        "quantity_positive", "total_is_gross", "malformed_json", "not_utf8", "no_value", "order_id_present",
        "order_id_is_uuid",
    }  # fmt: skip

    again, nothing = run(contract, settings)
    assert (again.batches, nothing) == (0, [])
    assert backlog(contract, settings).total == 0
    proof = verify(settings, [contract])
    assert proof.findings == []
    counts = proof.proofs[0]
    assert (counts.bronze, counts.silver, counts.quarantined, counts.repeats) == (217, 200, 5, 12)

    letters = read_all(settings, contract.topic.dlq, 5)
    records = [json.loads(letter.value()) for letter in letters]
    assert len(records) == 5
    six = {"original_record", "error_type", "error_message", "timestamp", "context", "retry_count"}
    assert all(set(record) == six for record in records)
    assert len({dict(letter.headers())["id"] for letter in letters}) == 5

    rules = {result.rule: result for result in evaluate_rules(contract, settings, [today()])}
    assert (rules["quantity_positive"].broken, rules["quantity_positive"].rows) == (1, 205)
    assert rules["discount_in_range"].passed


def test_a_day_recomputed_from_bronze_is_the_same_and_leaves_other_days_alone(
    settings: Settings, topic_name: Topic
) -> None:
    contract = sales_on(settings, topic_name("sales"))
    now = datetime.now(UTC)
    days = [now - timedelta(days=back) for back in (0, 1, 2)]
    send(settings, contract.topic.name, [encode(sale(n, at=days[n % 3])) for n in range(90)])
    run(contract, settings)
    send(settings, contract.topic.name, [encode(sale(n, at=days[n % 3])) for n in range(80, 100)])
    report = verify_bronze_day(contract, settings, now.date())
    assert report.rows == 110
    assert "20 filled in" in report.note
    rebuilt = rebuild_silver(contract, settings, [day.date() for day in days[1:]])
    assert [entry.rows for entry in rebuilt] == [33, 33]
    assert verify(settings, [contract]).findings == []


def test_aborted_transactions_end_the_drain_with_nothing_waiting(settings: Settings, topic_name: Topic) -> None:
    from confluent_kafka import Producer

    contract = sales_on(settings, topic_name("sales"))
    topic = contract.topic.name
    send(settings, topic, [encode(sale(n)) for n in range(20)], transactional=True)
    producer = Producer(client_config(settings) | {"transactional.id": topic})
    producer.init_transactions()
    producer.begin_transaction()
    for number in range(15):
        producer.produce(topic, key=str(number), value=b"never happened")
    producer.flush()
    producer.abort_transaction()
    summary, _ = run(contract, settings)
    assert (summary.bronze_rows, summary.silver_rows, summary.rejected) == (20, 20, 0)
    assert backlog(contract, settings).total == 0
    assert verify(settings, [contract]).findings == []


def test_a_broken_fail_rule_stops_silver_and_not_bronze(
    settings: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaxed = sales_on(settings, topic_name("sales"))
    guard = Rule(name="no_cash", sql="payment_method <> 'Cash'", severity="fail")
    strict = relaxed.model_copy(update={"rules": [*relaxed.rules, guard]})
    send(settings, strict.topic.name, [encode(sale(n, payment_method="Cash")) for n in range(3)])

    def without_room(*_: object) -> None:
        raise DiskFullError("no room for facts")

    with monkeypatch.context() as patch:
        # The first error is the one that is told.
        patch.setattr(drains, "write_facts", without_room)
        with pytest.raises(QualityStopError, match=r"no_cash \(3 rows\)"):
            run(strict, settings)
    paths = LakePaths.of(settings)
    assert backlog(strict, settings).total == 0
    assert merged_through(paths.silver(strict.name)) == -1
    summary, _ = run(relaxed, settings)
    assert (summary.bronze_rows, summary.silver_rows) == (0, 3)


def test_a_new_field_is_added_and_survives_a_compaction_of_old_and_new_files(
    settings: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = sales_on(settings, topic_name("sales"))
    send(settings, contract.topic.name, [encode(sale(1, category="Books"))])
    run(contract, settings)
    silver = LakePaths.of(settings).silver(contract.name)
    columns = ", ".join([*contract.field_names, "event_date", "_batch", "_offset"])
    old = rows_of(silver, columns)
    added = FieldSpec(name="loyalty", type="integer", description="Points.", nullable=True)
    wider = contract.model_copy(update={"fields": [*contract.fields, added]})
    send(settings, contract.topic.name, [encode(sale(2, category="Books", loyalty=7))])
    summary, _ = run(wider, settings)
    assert summary.silver_rows == 1
    monkeypatch.setattr(compaction_plan, "ENOUGH_SMALL", 2)
    assert {report.layer for report in maintain_stream(wider, settings) if report.compacted} >= {"bronze", "silver"}
    assert [row for row in rows_of(silver, columns) if row in old] == old
    assert sorted(rows_of(silver, "order_id, loyalty"), key=str) == sorted(
        [(sale(1)["order_id"], None), (sale(2)["order_id"], 7)], key=str
    )
    assert verify(settings, [wider]).findings == []


def test_what_was_appended_stays_in_append_mode(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("sales"), mode="append")
    now = datetime.now(UTC)
    first = [sale(n, at=now) for n in range(10)]
    send(settings, contract.topic.name, [encode(event) for event in first])
    run(contract, settings)
    later = [event | {"store_location": "Boston", "sale_timestamp": now.isoformat()} for event in first]
    send(settings, contract.topic.name, [encode(event) for event in later])
    summary, _ = run(contract, settings)
    assert (summary.bronze_rows, summary.silver_rows) == (10, 0)
    assert verify(settings, [contract]).findings == []


def test_a_run_on_another_lake_is_refused_until_it_is_meant(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("sales"))
    run(contract, settings)
    other = settings.model_copy(update={"root": str(settings.home / "other")})
    with pytest.raises(ForeignLakeError, match="has worked on"):
        run(contract, other)
    run(contract, other, another_lake=True)
    with pytest.raises(ForeignLakeError):
        run(contract, settings)
