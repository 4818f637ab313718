"""A lake on a disk that is full, or may only be read: a typed stop, nothing half done, and on it goes afterwards."""

import pytest

from lakehouse.errors import DiskFullError, SetupError
from lakehouse.lake.gold import builds
from lakehouse.lake.guards.locks import LockBusyError, exclusive, silver_lock
from lakehouse.lake.ledger import last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.conftest import SmallDisk
from lakehouse_tests.faults.story import Topic, assert_whole, data_files, drain_once, some_records
from lakehouse_tests.streams import sales_on, send


@pytest.mark.kafka
@pytest.mark.spark
def test_a_full_disk_and_a_read_only_one_stop_the_drain_and_leave_the_lake_whole(
    settings: Settings, topic_name: Topic, disk: SmallDisk
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

    # The data file and its checksum fit, the log's new entry does not.
    files = data_files(bronze)
    disk.leave_files(2)
    with pytest.raises(DiskFullError, match="_delta_log"):
        drain_once(contract, own)
    assert len(data_files(bronze) - files) == 1
    assert position() == (0, 0)

    # Bronze can be committed, silver cannot, nor can the facts about it.
    disk.leave_files(4)
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
