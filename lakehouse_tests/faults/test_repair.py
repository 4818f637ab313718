"""Files of a table damaged as power losses and careless hands do it: found before a write, named, mended."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Evolution, FieldSpec
from lakehouse.errors import LogDamagedError
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import commits, files_of
from lakehouse.lake.maintenance import compaction_plan
from lakehouse.lake.maintenance.upkeep import maintain_events, maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.damage import look_at_stream
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rejects.browse import list_records
from lakehouse.lake.rejects.discard import discard
from lakehouse.lake.rejects.ids import RecordName
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay
from lakehouse.lake.repair.mend import repair
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.story import Topic, drain_once
from lakehouse_tests.faults.test_gaps import delete_before
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def last_commit(table: str) -> Path:
    return max((Path(table) / "_delta_log").glob("*.json"))


def not_synced(table: str, synced: list[str]) -> set[str]:
    """Files that some commit of the table consists of, or added, and that were never brought to the disk."""
    files = {f"{table}/_delta_log/{commit.version:020d}.json" for commit in commits(table)}
    files |= {f"{table}/{name}" for commit in commits(table) for add in commit.added for name in files_of(add)}
    return files - set(synced)


def filled(settings: Settings, topic: str) -> tuple[StreamContract, int]:
    """A stream of two batches with rejects, repeats and rows that the later batch supersedes."""
    contract = sales_on(settings, topic)
    sent = 0
    for first in (0, 20):
        values = [encode(sale(n)) for n in range(first, first + 25)] + [b"{"]
        sent += send(settings, contract.topic.name, values)
        drain_once(contract, settings)
    return contract, sent


def assert_mended(contract: StreamContract, settings: Settings, sent: int) -> None:
    """A drain refuses, naming the command; the command mends; the proof holds; a second repair finds nothing."""
    with pytest.raises(LogDamagedError, match="lakehouse repair sales"):
        drain_once(contract, settings)
    assert repair(contract, settings, dry_run=True).done == []
    report = repair(contract, settings)
    assert report.found
    assert report.lost == []
    proof = verify(settings, [contract])
    assert proof.findings == []
    assert proof.proofs[0].bronze == sent
    assert repair(contract, settings).found == []


def test_damaged_ends_of_each_table_are_mended(settings: Settings, topic_name: Topic) -> None:
    """Zero bytes (the commit never reached the disk), half a commit, a cut-off and a missing data file."""
    contract, sent = filled(settings, topic_name("damaged"))
    paths = LakePaths.of(settings)
    bronze, silver = paths.bronze(contract.name), paths.silver(contract.name)

    os.truncate(last_commit(bronze), 0)
    assert_mended(contract, settings, sent)

    torn = last_commit(silver)
    os.truncate(torn, torn.stat().st_size // 2)
    assert_mended(contract, settings, sent)

    newest = max(Path(silver).rglob("*.parquet"), key=lambda file: file.stat().st_mtime)
    os.truncate(newest, newest.stat().st_size - 7)
    assert_mended(contract, settings, sent)

    newest = max(Path(bronze).rglob("*.parquet"), key=lambda file: file.stat().st_mtime)
    newest.unlink()
    assert_mended(contract, settings, sent)

    # The middle of bronze's log is written down nowhere else.
    (Path(bronze) / "_delta_log" / f"{2:020d}.json").unlink()
    with pytest.raises(LogDamagedError, match=r"commit missing: version 2.*backup"):
        repair(contract, settings)
    assert [damage.kind for damage in look_at_stream(contract.name, paths).damage] == ["commit missing"]


def test_silver_made_anew_knows_the_keys_of_fields_that_are_no_more(settings: Settings, topic_name: Topic) -> None:
    """Where unknown keys stop the stream, those of a dropped field must not."""
    old = sales_on(settings, topic_name("retired"))
    old = old.model_copy(update={"evolve": Evolution(add="stop", drop="keep_null")})
    note = FieldSpec(name="note", type="string", description="A note.", nullable=True)
    noted = old.model_copy(update={"fields": [*old.fields, note]})
    sent = send(settings, old.topic.name, [encode(sale(n, note="x")) for n in range(3)])
    drain_once(noted, settings)
    drain_once(old, settings)
    silver = LakePaths.of(settings).silver(old.name)
    max(Path(silver).rglob("*.parquet"), key=lambda file: file.stat().st_mtime).unlink()
    assert repair(old, settings).found
    proof = verify(settings, [old])
    assert (proof.findings, proof.proofs[0].silver) == ([], sent)
    drain_once(noted.model_copy(update={"evolve": Evolution()}), settings)
    assert rows_of(silver, "note") == [("x",)] * 3


def test_what_the_broker_no_longer_has_is_listed(settings: Settings, topic_name: Topic) -> None:
    contract, sent = filled(settings, topic_name("unmended"))
    bronze = LakePaths.of(settings).bronze(contract.name)
    min(Path(bronze).rglob("*.parquet"), key=lambda file: file.stat().st_mtime).unlink()
    assert [finding.check for finding in verify(settings, [contract]).findings] == ["storage"]
    delete_before(settings, contract.topic.name, {0: 2, 1: 2, 2: 2})

    report = repair(contract, settings)
    assert report.lost
    assert all("batch 0" in text and "offsets 0 to 1" in text for text in report.lost)
    found = verify(settings, [contract])
    assert not found.ok
    assert found.proofs[0].bronze == sent - 2 * len(report.lost)


@pytest.mark.slow
def test_every_commit_that_counts_is_brought_to_the_disk_unless_the_operating_system_decides(
    settings: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of a commit and its folders, whoever makes it: drain, backfill, discard, replay, maintenance."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    strict = load_settings(LAKEHOUSE_DURABILITY="fsync")
    contract, _ = filled(strict, topic_name("durable"))
    send(settings, contract.topic.name, [encode(sale(50, quantity=0))])
    drain_once(contract, strict)
    paths = LakePaths.of(settings)
    tables = [layer(contract.name) for layer in (paths.bronze, paths.silver, paths.quarantine)]
    for table in tables:
        assert not_synced(table, synced) == set()
        assert {table, f"{table}/_delta_log", str(Path(table).parent)} <= set(synced)
    assert any("deletion_vector" in name for name in synced)

    rebuild_silver(contract, strict, [datetime.now(UTC).date()])
    fewer = contract.model_copy(update={"rules": []})
    reject = list_records(contract, paths, reason="malformed_json").newest[0]
    discard(contract, strict, [RecordName.parse(reject.id)], "a test")
    assert replay(fewer, strict, Choice()).released == 1
    monkeypatch.setattr(compaction_plan, "ENOUGH_SMALL", 2)
    maintained = {report.layer for report in maintain_stream(contract, strict) if report.compacted}
    maintain_events(strict)
    assert maintained >= {"bronze", "silver"}
    for table in [*tables, paths.decisions]:
        assert not_synced(table, synced) == set()

    synced.clear()
    send(settings, contract.topic.name, [encode(sale(99))])
    drain(contract, load_settings(LAKEHOUSE_DURABILITY="none"), budget_seconds=240, idle_seconds=0)
    assert not any(name.endswith(".parquet") for name in synced)
