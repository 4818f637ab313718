"""A changed rule, replayed from bronze beside the live table while the stream goes on, killed on the way."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import KAPPA_POINTS
from lakehouse.engine.spark import connect
from lakehouse.errors import UsageError
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.kappa import abort, replay
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import Topic, drain_once
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def stricter(contract: StreamContract) -> StreamContract:
    """The same stream, but more than two pieces are too many."""
    rules = [
        rule.model_copy(update={"sql": "quantity between 1 and 2"}) if rule.name == "quantity_positive" else rule
        for rule in contract.rules
    ]
    return contract.model_copy(update={"rules": rules})


def dead_letters(settings: Settings, contract: StreamContract) -> int:
    state = read_topic_state(settings, contract.topic.dlq)
    return sum(state.end.values())


def silver_rows(settings: Settings, contract: StreamContract, version: int) -> int:
    spark = connect(settings.spark_remote)
    try:
        reader = spark.read.format("delta").option("versionAsOf", str(version))
        return int(reader.load(LakePaths.of(settings).silver(contract.name)).count())
    finally:
        spark.stop()


def kill_at(contract: StreamContract, folder: Path, point: str) -> None:
    file = folder / "contract.json"
    file.write_text(contract.model_dump_json(), encoding="utf-8")
    worker = subprocess.run(
        [sys.executable, "-m", "lakehouse_tests.faults.kappa_worker", str(file)],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": point},
        check=False,
        timeout=240,
    )
    assert worker.returncode == -signal.SIGKILL, f"{point} was never reached"


def test_a_replay_equals_the_new_contract_whatever_happens_on_the_way(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    contract = sales_on(settings, topic_name("kappa"))
    sent = send(
        settings,
        contract.topic.name,
        [encode(sale(n, quantity=n % 5, unit_price=1, total_price=n % 5)) for n in range(40)],
    )
    drain_once(contract, settings)
    before = verify(settings, [contract])
    assert before.findings == []
    letters = dead_letters(settings, contract)
    new = stricter(contract)
    assert not verify(settings, [new]).ok

    first, second = KAPPA_POINTS
    kill_at(new, tmp_path, first)
    # The stream goes on under the old contract, as it would while a replay runs.
    sent += send(settings, contract.topic.name, [encode(sale(n)) for n in range(100, 120)])
    drain_once(contract, settings)
    live = verify(settings, [contract])
    assert live.findings == []
    with pytest.raises(UsageError, match="--abort"):
        replay(contract, settings)
    letters_before = dead_letters(settings, contract)
    kill_at(new, tmp_path, second)

    report = replay(new, settings)
    proof = verify(settings, [new])
    assert proof.findings == []
    assert proof.proofs[0].bronze == sent
    assert proof.proofs[0].quarantined > live.proofs[0].quarantined
    assert dead_letters(settings, contract) == letters_before >= letters
    assert not abort(contract, settings), "nothing is left of a finished replay"

    # The old version is still there, and the stream goes on from where it was.
    assert silver_rows(settings, contract, live.proofs[0].silver_version) == live.proofs[0].silver
    assert report.version > live.proofs[0].silver_version
    sent += send(settings, contract.topic.name, [encode(sale(200))])
    drain_once(new, settings)
    assert verify(settings, [new]).proofs[0].bronze == sent


def test_only_dates_from_the_given_time_on_are_replaced(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("kappa_from"))
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    values = [encode(sale(n, at=at, quantity=3, unit_price=1, total_price=3)) for n, at in ((1, yesterday), (2, now))]
    send(settings, contract.topic.name, values)
    drain_once(contract, settings)
    report = replay(stricter(contract), settings, datetime.combine(now.date(), datetime.min.time(), UTC))
    assert report.changed == [now.date().isoformat()]
    assert silver_rows(settings, contract, report.version) == 1
