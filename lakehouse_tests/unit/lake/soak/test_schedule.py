"""A soak's choices come from its seed; every crash point has its turn; the accounts must come out."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.contracts.parts import Rule, TableRule
from lakehouse.engine.crash import DRAIN_POINTS
from lakehouse.errors import LakehouseError
from lakehouse.kafka.topics import desired_topics
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.soak.certificate import Certificate, store
from lakehouse.lake.soak.feed import Feed, shuffled_clock
from lakehouse.lake.soak.run import Tally, goes_on, unbalanced
from lakehouse.lake.soak.schedule import round_of
from lakehouse.lake.soak.scratch import on_scratch
from lakehouse.lake.soak.workers import wait_for
from lakehouse.lake.verify import StreamProof, VerifyReport
from lakehouse.settings import load_settings

seeds = st.integers(min_value=0, max_value=2**32)


@given(seed=seeds, number=st.integers(min_value=0, max_value=10_000))
def test_a_round_is_the_same_for_the_same_seed_and_can_be_reached(seed: int, number: int) -> None:
    this = round_of(seed, number)
    assert this == round_of(seed, number)
    assert this.crash_at == f"{this.point}:{this.nth}"
    # As many micro-batches as passes, whatever the rest of the backlog is.
    assert this.events >= this.nth * this.batch_rows > 0
    assert number > 0 or (this.nth, this.rival, this.restart_broker) == (1, False, False)


@given(seed=seeds, turn=st.integers(min_value=0, max_value=500))
def test_every_crash_point_has_its_turn(seed: int, turn: int) -> None:
    first = turn * len(DRAIN_POINTS)
    assert Counter(round_of(seed, first + n).point for n in range(len(DRAIN_POINTS))) == Counter(DRAIN_POINTS)


def test_seeds_differ_and_everything_happens() -> None:
    rounds = [round_of(1, n) for n in range(200)]
    assert rounds != [round_of(2, n) for n in range(200)]
    assert {r.rival for r in rounds} == {r.restart_broker for r in rounds} == {True, False}
    assert {r.nth for r in rounds} == set(range(1, 11))
    orders = {tuple(r.point for r in rounds[n : n + len(DRAIN_POINTS)]) for n in range(0, 140, len(DRAIN_POINTS))}
    assert len(orders) > 10


@pytest.mark.parametrize("stream", sorted(load_streams()))
def test_the_same_seed_feeds_the_same_events(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_790_000_000.0)
    ours, _ = on_scratch(load_stream(stream))
    events = Feed(stream, ours, 5).take(300)
    assert events == Feed(stream, ours, 5).take(300)
    assert events != Feed(stream, ours, 6).take(300)
    assert len({value for _, value in events}) < len(events), "some are repeated"


def test_times_lie_within_what_the_contract_takes_as_late() -> None:
    sales = load_stream("sales")
    strict = sales.model_copy(update={"lateness": sales.lateness.model_copy(update={"past": timedelta(hours=2)})})
    for contract, span in ((sales, 2 * 86_400), (strict, 3_600)):
        clock = shuffled_clock(contract, 1, 1_000_000.0)
        times = [clock() for _ in range(400)]
        assert 1_000_000 - span <= min(times) < max(times) <= 1_000_000
        assert times != sorted(times)


def test_the_scratch_stream_is_another_one_and_never_stops() -> None:
    sales = load_stream("sales")
    strict = sales.model_copy(
        update={
            "rules": [Rule(name="one", sql="quantity > 0", severity="fail")],
            "table_rules": [TableRule(name="few", kind="max_reject_share", limit=0)],
            "topic": sales.topic.model_copy(
                update={"partitions": 200, "replication_factor": 3, "config": {"min.insync.replicas": "2"}}
            ),
        }
    )
    ours, notes = on_scratch(strict)
    assert not {t.name for t in desired_topics([ours])} & {t.name for t in desired_topics(load_streams())}
    assert ours.name not in load_streams()
    assert [rule.severity for rule in (*ours.rules, *ours.table_rules)] == ["error", "warn"]
    assert (ours.topic.partitions, ours.topic.replication_factor, ours.topic.config) == (12, 1, {})
    assert len(notes) == 2
    assert on_scratch(sales)[1] == []


PROOF = StreamProof("prove_sales", 0, 100, 0, 90, 6, 4, None, 3)


@pytest.mark.parametrize(
    ("proof", "kills", "words"),
    [
        (PROOF, 1, ""),
        (PROOF, 0, "no worker was killed"),
        (dataclasses.replace(PROOF, bronze=99, silver=89), 1, "100 events were acknowledged, bronze has 99"),
        (dataclasses.replace(PROOF, repeats=3), 1, "silver, quarantine and repeats 99"),
        (dataclasses.replace(PROOF, waiting=2), 1, "2 offsets were left unread"),
        (dataclasses.replace(PROOF, unmerged=5), 1, "5 rows were left unmerged"),
    ],
)
def test_what_does_not_add_up_is_named(proof: StreamProof, kills: int, words: str) -> None:
    found = unbalanced(VerifyReport(None, [proof]), Tally(sent=100, kills=Counter(after_plan=kills)))
    assert len(found) == (1 if words else 0)
    assert words in " ".join(found)


@pytest.mark.parametrize(
    ("tally", "is_time_left", "batches", "answer"),
    [
        (Tally(kills=Counter(after_plan=1), batches=999), True, 1000, True),
        (Tally(kills=Counter(after_plan=1), batches=1000), True, 1000, False),
        (Tally(kills=Counter(after_plan=1), batches=999), False, 1000, False),
        (Tally(kills=Counter(after_plan=1), batches=9999), True, None, True),
        # Without a kill nothing is proved, whatever time it took; but it does not go on for ever.
        (Tally(rounds=13, batches=1000), False, 1000, True),
        (Tally(rounds=14, batches=0), True, 1000, False),
    ],
)
def test_it_ends_with_the_time_or_the_batches(
    tally: Tally, is_time_left: bool, batches: int | None, answer: bool
) -> None:
    assert goes_on(tally, is_time_left, batches) is answer


def test_a_slow_worker_is_waited_for_and_a_hanging_one_is_not(tmp_path: Path) -> None:
    contract, _ = on_scratch(load_stream("sales"))
    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    log = Path(LakePaths.of(settings).bronze(contract.name)) / "_delta_log"
    log.mkdir(parents=True)
    slow = (
        f"import pathlib, time\nfor n in range(5): time.sleep(1.5); pathlib.Path({str(log)!r}, f'{{n}}.json').touch()"
    )
    worker = subprocess.Popen([sys.executable, "-c", slow])
    wait_for([worker], round_of(1, 0), contract, settings, silent_seconds=3)
    assert worker.returncode == 0
    hanging = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with pytest.raises(LakehouseError, match="neither ended nor committed"):
            wait_for([hanging], round_of(1, 0), contract, settings, silent_seconds=0.5)
    finally:
        hanging.kill()
        hanging.wait()


def test_a_certificate_is_stored_for_programs_and_for_people(tmp_path: Path) -> None:
    certificate = Certificate(
        stream="sales", contract="abc", seed=7, replay="lakehouse prove sales --seed 7 --rounds 3",
        started_at=datetime(2026, 11, 21, 16, 0, tzinfo=UTC), seconds=61.5, rounds=3, kills={"after_plan": 2},
        survived=1, stops=[], broker_restarts=1, rivals=1, batches=9, wanted_batches=1000,
        sent=100, bronze=100, silver=90, quarantined=6,
        repeats=4, findings=["accounts: 1 is lost"], notes=[], versions={"Delta": "4.4.0"},
    )  # fmt: skip
    data, page = store(certificate, tmp_path)
    assert data == tmp_path / "certificates" / "prove-sales-20261121T160000Z.json"
    known = json.loads(data.read_text(encoding="utf-8"))
    assert (known["ok"], known["seed"], known["kills"]) == (False, 7, {"after_plan": 2})
    text = page.read_text(encoding="utf-8")
    for words in (
        "1 findings",
        "1 is lost",
        certificate.replay,
        "| after_plan | 2 |",
        "90 in silver",
        "Delta 4.4.0",
        "9 micro-batches of 1,000 in the time",
    ):
        assert words in text
