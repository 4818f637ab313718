"""A lake on a disk that is full, or may only be read: a typed stop, nothing half done, and on it goes afterwards."""

import random
from pathlib import Path

import pytest

from lakehouse.errors import DiskFullError, SetupError
from lakehouse.lake import bronze as bronze_batches
from lakehouse.lake.bronze import commit_plan
from lakehouse.lake.gold import builds, dbt_run
from lakehouse.lake.guards.locks import LockBusyError, exclusive, silver_lock
from lakehouse.lake.ledger import Commit, last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.conftest import SmallDisk
from lakehouse_tests.faults.gold_rows import daily
from lakehouse_tests.faults.story import Topic, assert_whole, data_files, drain_once, some_records
from lakehouse_tests.integration.dbt import silver
from lakehouse_tests.streams import sales_on, send


@pytest.mark.kafka
@pytest.mark.spark
def test_a_full_disk_and_a_read_only_one_stop_the_drain_and_leave_the_lake_whole(
    settings: Settings, topic_name: Topic, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = sales_on(settings, topic_name("full"))
    own = settings.model_copy(update={"root": str(disk.folder / "lake")})
    paths = LakePaths.of(own)
    bronze = paths.bronze(contract.name)

    def position() -> tuple[int, int]:
        known = last_plan(bronze)
        return (known[0].batch if known else -1, merged_through(paths.silver(contract.name)))

    def is_readable() -> bool:
        return verify(own, [contract]).findings == []

    sent = send(own, contract.topic.name, some_records(0, 20))
    drain_once(contract, own)
    sent += send(own, contract.topic.name, some_records(100, 3_000))

    disk.leave(60_000)
    with pytest.raises(DiskFullError, match="No space left on device"):
        drain_once(contract, own)
    assert position() == (0, 0)
    assert is_readable()
    disk.free()

    # The data file fits, the log's new entry does not.
    def without_room(plan: Plan, folder: Path | None, where: Settings) -> Commit:
        disk.leave(0)
        return commit_plan(plan, folder, where)

    files = data_files(bronze)
    with monkeypatch.context() as patch:
        patch.setattr(bronze_batches, "commit_plan", without_room)
        with pytest.raises(DiskFullError, match="No space left on device"):
            drain_once(contract, own)
    assert len(data_files(bronze) - files) == 1
    assert position() == (0, 0)
    disk.free()

    # Bronze can be committed; silver's files, in more folders, have no room, nor have the facts about it.
    disk.leave_files(9)
    with pytest.raises(DiskFullError):
        drain_once(contract, own)
    assert position() == (1, 0)
    assert is_readable()
    disk.free()

    disk.forbid_writing()
    with pytest.raises(SetupError, match="cannot be written"):
        drain_once(contract, own)
    assert position() == (1, 0)
    assert is_readable()
    disk.free()
    assert_whole(contract, own, sent)


def test_a_state_folder_without_room_starts_no_build_of_gold_and_keeps_no_half_key(disk: SmallDisk) -> None:
    own = load_settings(LAKEHOUSE_HOME=disk.folder / "home", LAKEHOUSE_ROOT=str(disk.folder / "lake"))
    own.home.mkdir()
    disk.leave(0)
    with exclusive(silver_lock(own, "sales"), 0), pytest.raises(LockBusyError), exclusive(silver_lock(own, "sales"), 0):
        pytest.fail("a lock that cannot name its holder is a lock all the same")
    with pytest.raises(DiskFullError), builds.building(own):
        pytest.fail("it started without the key of the pseudonyms")
    disk.free()
    with builds.building(own) as build:
        assert len(build.env["LAKEHOUSE_DBT_PII_KEY"]) == 32


def test_dbt_without_room_for_its_files_is_a_full_disk(disk: SmallDisk, tmp_path: Path) -> None:
    state = disk.folder / "dbt"
    state.mkdir()
    (state / "target").mkdir()
    disk.leave(40_000)
    env = dbt_run.environment(lake_root=str(tmp_path), folder=disk.folder, pii_key="0" * 32, plan_json="{}")
    with pytest.raises(DiskFullError, match="No space left on device"):
        dbt_run.run_dbt(["parse"], env, state)


@pytest.mark.slow
def test_a_build_of_gold_that_fills_the_disk_leaves_the_old_gold_and_the_room(disk: SmallDisk, tmp_path: Path) -> None:
    own = load_settings(LAKEHOUSE_HOME=disk.folder / "home", LAKEHOUSE_ROOT=str(tmp_path / "lake"))
    rng = random.Random(11)
    old = silver.keyed([silver.sale(rng) for _ in range(200)])
    silver.write_sales(tmp_path / "lake", old)
    assert builds.build(own).published
    new, touched = silver.shaken(rng, old, 40)
    silver.write_sales(tmp_path / "lake", new, only=touched)
    size = builds.gold_path(own).stat().st_size
    # While the work file is copied, while dbt starts, while it writes.
    for room in (100_000, size + 16_000, size + 250_000):
        disk.leave(room)
        with pytest.raises(DiskFullError):
            builds.build(own)
        assert daily(own) == silver.expected_daily(old), f"{room} bytes: analysts keep what they had"
        left = {file.name for file in builds.gold_path(own).parent.glob("*.duckdb*")}
        assert left == {"gold.duckdb"}, f"{room} bytes: what nobody will read keeps the disk full"
        disk.free()
    assert builds.build(own).published
    assert daily(own) == silver.expected_daily(new)
