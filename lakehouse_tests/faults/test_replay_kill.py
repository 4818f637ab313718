"""Kill a replay at each of its points and give the same command again: the end is the same, `verify` is green."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Rule
from lakehouse.engine.crash import REPLAY_POINTS, RESEND_POINTS
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay
from lakehouse.lake.rejects.resend import letters_of
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import start_worker
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]


def work(verb: str, contract: StreamContract, folder: Path, *, crash_at: str = "") -> None:
    path = folder / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "lakehouse_tests.faults.rejects_worker", verb, str(path)],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": crash_at},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == (-signal.SIGKILL if crash_at else 0), done.stdout + done.stderr


def accounts(contract: StreamContract, settings: Settings) -> tuple[int, int, int, int]:
    report = verify(settings, [contract])
    assert report.findings == []
    proof = report.proofs[0]
    return proof.bronze, proof.silver, proof.quarantined, proof.repeats


def test_sigkill_at_every_point_of_a_replay(settings: Settings, topic_name: Topic, tmp_path: Path) -> None:
    relaxed = sales_on(settings, topic_name("replayed"))
    closed = Rule(name="boston_is_closed", sql="store_location <> 'Boston'")
    strict = relaxed.model_copy(update={"rules": [*relaxed.rules, closed]})
    values = [encode(sale(n)) for n in range(5)] + [encode(sale(n, store_location="Boston")) for n in range(10, 17)]
    send(settings, strict.topic.name, [*values, encode(sale(20, quantity=0))])
    drained = start_worker(strict, tmp_path, crash_at="after_quarantine")
    drained.communicate(timeout=200)
    assert drained.returncode == -signal.SIGKILL
    # What silver has not been through yet is the drain's: a replay of it now would be ahead of the ledger.
    assert replay(relaxed, settings, Choice()).judged == 0
    drain(strict, settings, budget_seconds=240, idle_seconds=0)
    for point in REPLAY_POINTS:
        work("replay", relaxed, tmp_path, crash_at=point)
        # Nothing is ever in neither table: a kill may leave a record in both, until the command is given again.
        assert len(rows_of(LakePaths.of(settings).silver(relaxed.name), "_offset")) == 12
    settled = current_version(LakePaths.of(settings).silver(relaxed.name))
    work("replay", relaxed, tmp_path)
    assert current_version(LakePaths.of(settings).silver(relaxed.name)) == settled
    assert accounts(relaxed, settings) == (13, 12, 1, 0)
    states = sorted(entry.state for entry in letters_of(relaxed, settings)[0])
    assert states == ["open"] + ["released"] * 7


def test_sigkill_at_every_point_of_sending_again(settings: Settings, topic_name: Topic, tmp_path: Path) -> None:
    """Killed before the marks, the records are sent twice; silver has each once all the same."""
    contract = sales_on(settings, topic_name("resent"))
    event = sale(1, quantity=0)
    event["total_price"] = event["unit_price"]
    send(settings, contract.topic.name, [encode(event), encode(sale(2))])
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    for point in RESEND_POINTS:
        work("resend", contract, tmp_path, crash_at=point)
    work("resend", contract, tmp_path)
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    assert accounts(contract, settings) == (4, 2, 1, 1)
