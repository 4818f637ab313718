"""The demo as a user runs it, on a stack of its own: Dagster's sensors, a killed Spark, the proof, a second run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.contracts.load import load_streams
from lakehouse.contracts.pipelines import load_pipelines
from lakehouse.engine.embedded import ports
from lakehouse_tests.stacks import SHORT_LIVED_JAVA

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def lakehouse(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    ambient = {
        name: value for name, value in os.environ.items() if name not in ("KAFKA_BOOTSTRAP_SERVERS", "SPARK_REMOTE")
    }
    return subprocess.run(
        [sys.executable, "-m", "lakehouse.cli.main", *arguments],
        env=ambient
        | {
            "LAKEHOUSE_HOME": str(home),
            "LAKEHOUSE_ROOT": str(home / "lake"),
            "LAKEHOUSE_KAFKA_PORT": str(ports.any_free(set())),
            "PGPORT": str(ports.any_free(set())),
            "LAKEHOUSE_SPARK_MEMORY": "1500m",
            "LAKEHOUSE_JAVA_OPTIONS": SHORT_LIVED_JAVA,
        },
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )


# Minutes on a quiet machine; the limit is for one that is shared.
@pytest.mark.timeout(2_400)
def test_the_demo_survives_its_own_plug_and_proves_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        first = lakehouse(home, "demo", "--events", "4000", "--rate", "400")
        said = first.stdout + first.stderr
        assert first.returncode == 0, said
        assert "Now we pull the plug" in first.stderr
        assert "4,000 sent = 3,920 in silver + 80 quarantined with reasons · 0 lost · 0 twice" in first.stdout
        assert "gold equals silver" in first.stdout
        for beside in ("user_events (append)", "market_data (upsert)", "customers (cdc)", "pipeline orders_star"):
            assert f"✓ {beside}" in first.stderr
        assert "\x1b" not in said
        second = lakehouse(home, "demo", "--events", "4000")
        assert second.returncode == 0, second.stdout + second.stderr
        assert "state kept" in second.stderr
        assert "made before · city_category_daily" in second.stderr, "a second call only proves"
        assert "exactly-once holds" in second.stdout
    finally:
        stopped = lakehouse(home, "down")
    assert stopped.returncode == 0, stopped.stderr


@pytest.mark.slow
@pytest.mark.timeout(2_400)
def test_full_shows_every_stream_and_pipeline_with_rows(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        done = lakehouse(home, "demo", "--full", "--events", "2000", "--no-pull-plug")
        assert done.returncode == 0, done.stdout + done.stderr
        for name, contract in load_streams().items():
            if name != "sales":
                assert f"✓ {name} ({contract.mode}): " in done.stderr
                assert f"✓ {name} ({contract.mode}): 0 records" not in done.stderr
        for name in load_pipelines():
            assert f"✓ pipeline {name}" in done.stderr
        assert "✓ quality run: " in done.stderr
    finally:
        stopped = lakehouse(home, "down")
    assert stopped.returncode == 0, stopped.stderr
