"""Kill the drain that follows a changed contract, after the columns and between two dates: the next one goes on."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.contracts.parts import Evolution, FieldSpec
from lakehouse.engine.crash import EVOLUTION_POINTS
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.accepted import read_accepted
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import assert_whole, drain_once, start_worker
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.mark.slow
def test_sigkill_while_silver_follows_a_changed_contract(
    settings: Settings, topic_name: Callable[[str], str], tmp_path: Path
) -> None:
    old = sales_on(settings, topic_name("evolved"))
    now = datetime.now(UTC)
    days = [now, now - timedelta(days=1)]
    send(settings, old.topic.name, [encode(sale(n, at=days[n % 2], loyalty=n)) for n in range(6)])
    drain_once(old, settings)

    loyalty = FieldSpec(name="loyalty", type="long", description="Points.", nullable=True)
    renamed = old.field("store_location").model_copy(update={"name": "city", "aliases": ["store_location"]})
    kept = [field for field in old.fields if field.name != "store_location"]
    new = old.model_copy(update={"fields": [*kept, renamed, loyalty], "evolve": Evolution(rename="alias")})
    for point in EVOLUTION_POINTS:
        worker = start_worker(new, tmp_path, crash_at=point)
        output, _ = worker.communicate(timeout=200)
        assert worker.returncode == -signal.SIGKILL, output

    assert_whole(new, settings, 6)
    silver = LakePaths.of(settings).silver(new.name)
    assert sorted(rows_of(silver, "loyalty, city")) == [(n, "New York") for n in range(6)]
    accepted = read_accepted(silver)
    assert accepted is not None
    assert not accepted.rest
