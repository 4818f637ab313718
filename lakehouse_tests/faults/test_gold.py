"""A build of gold that is killed: analysts keep what they had, the next build is exactly silver."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.lake.gold import builds
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.gold_rows import daily
from lakehouse_tests.faults.story import wait_for
from lakehouse_tests.integration.dbt import silver


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    return load_settings()


def test_a_build_killed_in_dbt_leaves_the_old_gold_and_the_next_one_is_right(home: Settings) -> None:
    rng = random.Random(11)
    old = silver.keyed([silver.sale(rng) for _ in range(200)])
    silver.write_sales(home.home / "lake", old)
    assert builds.build(home).published

    new, touched = silver.shaken(rng, old, 40)
    silver.write_sales(home.home / "lake", new, only=touched)
    builder = subprocess.Popen(
        [sys.executable, "-m", "lakehouse.cli.main", "gold", "build"],
        env={**os.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # dbt notes what it asks of DuckDB: by then the facts are computed, and not yet in the file.
    noted = builds.gold_path(home).with_name("dbt") / "target/run/lakehouse/models/marts/sales/dim_store.sql"
    before = noted.stat().st_mtime_ns
    wait_for(lambda: noted.stat().st_mtime_ns != before or builder.poll() is not None, 120)
    builder.send_signal(signal.SIGKILL)
    assert builder.wait(30) == -signal.SIGKILL, "it ended before dbt wrote anything"
    assert daily(home) == silver.expected_daily(old)

    # At once: dbt, a child of what was killed, may still be writing to a file that nobody will read.
    again = builds.build(home)
    assert (again.published, again.mode) == (True, "incremental"), again.failures
    assert daily(home) == silver.expected_daily(new)
