"""What becomes of rejected records: judged again by another contract, or kept out by decision; `verify` counts both."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import quarantine as cli
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Rule
from lakehouse.errors import QualityStopError, UsageError
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import current_version, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rejects.discard import discard
from lakehouse.lake.rejects.ids import RecordName
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay
from lakehouse.lake.rejects.resend import letters_of
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]
EVERYTHING = Choice()
BOSTON_IS_CLOSED = Rule(name="boston_is_closed", sql="store_location <> 'Boston'")


def stricter(contract: StreamContract) -> StreamContract:
    return contract.model_copy(update={"rules": [*contract.rules, BOSTON_IS_CLOSED]})


def run(contract: StreamContract, settings: Settings) -> None:
    drain(contract, settings, budget_seconds=240, idle_seconds=0)


def accounts(contract: StreamContract, settings: Settings) -> tuple[int, int, int, int]:
    """Bronze, silver, quarantine and repeats, after `verify` has found nothing wrong with them."""
    report = verify(settings, [contract])
    assert report.findings == []
    proof = report.proofs[0]
    return proof.bronze, proof.silver, proof.quarantined, proof.repeats


def versions(contract: StreamContract, settings: Settings) -> list[int | None]:
    paths = LakePaths.of(settings)
    return [current_version(table) for table in (paths.silver(contract.name), paths.quarantine(contract.name))]


def command(contract: StreamContract, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """What a sub-command prints with --json; the stream is called by its contract's name."""
    monkeypatch.setattr("lakehouse.contracts.load.load_stream", lambda _: contract)
    result = CliRunner().invoke(cli.app, [words[0], contract.name, *words[1:], "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def printed(contract: StreamContract, *words: str) -> str:
    """What a sub-command prints for people, after `command` has made the stream known."""
    result = CliRunner().invoke(cli.app, [words[0], contract.name, *words[1:]], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_rejected_records_are_looked_at_replayed_once_and_discarded(
    settings: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaxed = sales_on(settings, topic_name("rejects"))
    strict = stricter(relaxed)
    paths = LakePaths.of(settings)
    now = datetime.now(UTC)
    outdated = sale(2, at=now - timedelta(seconds=40), store_location="Boston")
    values = [
        *(encode(sale(n, at=now)) for n in range(8)),
        *(encode(sale(n, at=now, store_location="Boston")) for n in range(20, 25)),
        encode(outdated),
        encode(sale(30, at=now, store_location="Boston", quantity=-1)),
        b"{",
    ]
    send(settings, strict.topic.name, values)
    run(strict, settings)

    listing = command(strict, monkeypatch, "list", "--limit", "3")
    assert (listing["total"], len(listing["newest"]), listing["by_reason"]["boston_is_closed"]) == (8, 3, 7)
    assert command(strict, monkeypatch, "list", "--reason", "quantity_positive")["total"] == 1
    assert command(strict, monkeypatch, "list", "--day", "2026-01-01")["total"] == 0
    (malformed,) = command(strict, monkeypatch, "list", "--reason", "malformed_json")["newest"]
    assert command(strict, monkeypatch, "show", malformed["record"])["value"] == "{"
    assert malformed["error_type"] == "DeserializationError"
    assert f"{malformed['record']} " in printed(strict, "list")
    assert "value      {\n" in printed(strict, "show", malformed["record"])
    identity = "concat_ws('/', topic_id, partition, \"offset\")"
    held = rows_of(paths.quarantine(strict.name), f"{identity}, decode(value), reasons")
    closed = {record: json.loads(value) for record, value, reasons in held if reasons == ["boston_is_closed"]}
    wanted, unwanted = (
        next(record for record, event in closed.items() if event == sale(n, at=now, store_location="Boston"))
        for n in (20, 22)
    )

    assert command(strict, monkeypatch, "discard", unwanted, "--why", "test till")["discarded"] == [unwanted]
    decisions = current_version(paths.decisions)
    assert command(strict, monkeypatch, "discard", unwanted, "--why", "again") == {
        "stream": strict.name,
        "discarded": [],
        "before": [unwanted],
    }
    assert current_version(paths.decisions) == decisions
    hidden = command(strict, monkeypatch, "list", "--limit", "100")
    assert (hidden["total"], hidden["hidden"], unwanted in {r["id"] for r in hidden["newest"]}) == (7, 1, False)
    everything = command(strict, monkeypatch, "list", "--limit", "100", "--all")["newest"]
    assert [(r["state"], r["why"]) for r in everything if r["id"] == unwanted] == [("discarded", "test till")]
    with pytest.raises(UsageError, match="no record 7:7777"):
        discard(strict, settings, [RecordName.parse("7:7777")], "not there")
    assert accounts(strict, settings) == (16, 8, 8, 0)

    guard = BOSTON_IS_CLOSED.model_copy(update={"severity": "fail"})
    guarded = relaxed.model_copy(update={"rules": [*relaxed.rules, guard]})
    before = versions(relaxed, settings)
    with pytest.raises(QualityStopError, match=r"boston_is_closed \(5 rows\)"):
        replay(guarded, settings, EVERYTHING)
    assert versions(relaxed, settings) == before

    # The contract of today lets Boston in: five pass, one of them outdated by a row that silver has; one is discarded.
    # A rule that a row of silver breaks is said, and left to a rebuild of silver.
    unheard = Rule(name="unheard", sql=f"order_id <> '{sale(0, at=now)['order_id']}'")
    planned = command(
        relaxed.model_copy(update={"rules": [*relaxed.rules, unheard]}), monkeypatch, "replay", "--dry-run"
    )
    assert (planned["judged"], planned["released"], planned["rewritten"], planned["kept"]) == (8, 5, 2, 1)
    assert planned["misplaced"] == [1, str(now.date()), str(now.date())]
    assert versions(relaxed, settings) == before
    through = merged_through(paths.silver(relaxed.name))
    one = command(relaxed, monkeypatch, "replay", wanted)
    assert (one["judged"], one["released"]) == (1, 1)
    rest = replay(relaxed, settings, Choice(reason="boston_is_closed"))
    assert (rest.judged, rest.released, rest.rewritten, rest.kept) == (6, 4, 2, 0)
    assert one["silver_rows"] + rest.silver_rows == 4
    assert rest.reasons == {"quantity_positive": 1, "total_is_gross": 1, "discarded": 1}
    assert accounts(relaxed, settings) == (16, 12, 3, 1)
    assert merged_through(paths.silver(relaxed.name)) == through

    letters, _ = letters_of(relaxed, settings)
    assert Counter(entry.state for entry in letters) == {"released": 5, "open": 2, "discarded": 1}

    settled = versions(relaxed, settings)
    assert printed(relaxed, "replay") == f"{relaxed.name}: 3 judged again, 0 went to silver, 3 stay\n"
    assert versions(relaxed, settings) == settled

    # No backfill lets the discarded record in, and no drain, not even one that makes both tables anew.
    rebuild_silver(relaxed, settings, [now.date()])
    assert accounts(relaxed, settings) == (16, 12, 3, 1)
    for table in (paths.silver(relaxed.name), paths.quarantine(relaxed.name)):
        Path(table).rename(f"{table}_aside")
    run(relaxed, settings)
    assert accounts(relaxed, settings) == (16, 12, 3, 1)
    kept = rows_of(paths.silver(relaxed.name), "_topic_id, _partition, _offset")
    assert set(kept).isdisjoint(rows_of(paths.quarantine(relaxed.name), 'topic_id, partition, "offset"'))
    kinds = sorted(fact for fact in rows_of(paths.events, "kind, rows") if fact[0] in ("replay", "discard"))
    assert kinds == sorted([("discard", 0), ("replay", one["silver_rows"]), ("replay", rest.silver_rows)])


def test_replays_at_once_beside_a_drain_lose_and_double_nothing(settings: Settings, topic_name: Topic) -> None:
    """On a stream whose rules are all of severity error."""
    rules = [rule for rule in load_stream("sales").rules if rule.severity == "error"]
    relaxed = sales_on(settings, topic_name("rejects"), rules=rules, table_rules=[])
    strict = stricter(relaxed)
    boston = [encode(sale(n, store_location="Boston")) for n in range(20)]
    send(settings, strict.topic.name, boston)
    run(strict, settings)
    send(settings, strict.topic.name, [encode(sale(n, quantity=n % 3)) for n in range(100, 130)])
    released: list[int] = []
    work = [
        threading.Thread(target=lambda: released.append(replay(relaxed, settings, EVERYTHING).released))
        for _ in range(2)
    ]
    work.append(threading.Thread(target=run, args=(relaxed, settings)))
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(released) == [0, 20]
    bronze, silver, rejected, _ = accounts(relaxed, settings)
    assert (bronze, silver + rejected) == (50, 50)
