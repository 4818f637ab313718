"""Damage done on purpose to each layer is found, and named."""

import os
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.lake import ledger
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs import damage as damage_of_tables
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
CHECKS = ("contiguity", "bronze", "silver", "quarantine", "gold")


@pytest.fixture(scope="module")
def sound(module_settings: Settings) -> StreamContract:
    """A stream with 60 good and 3 bad records in every layer, proved."""
    contract = sales_on(module_settings, f"damaged_{os.getpid()}")
    values = [encode(sale(n)) for n in range(60)] + [b"{"] * 3
    send(module_settings, contract.topic.name, values)
    drain(contract, module_settings, budget_seconds=240, idle_seconds=0)
    builds.build(module_settings)
    with pytest.MonkeyPatch.context() as patch:
        reads = counted_reads(patch, LakePaths.of(module_settings).bronze(contract.name))
        report = verify(module_settings, [contract])
    assert report.findings == []
    assert reads[:2] == ["00000000000000000000.json", "00000000000000000001.json"], "in order, to be counted"
    assert all(number == 1 for name, number in Counter(reads).items() if name != max(reads)), "the log is read once"
    assert report.proofs[0].gold_version == report.proofs[0].silver_version
    return contract


def counted_reads(patch: pytest.MonkeyPatch, table: str) -> list[str]:
    """Names of the table's commits, as they are read from now on."""
    read, names = ledger.read_commit, []

    def counting(file: Path) -> ledger.Commit:
        if file.is_relative_to(table):
            names.append(file.name)
        return read(file)

    for module in (ledger, damage_of_tables):
        patch.setattr(module, "read_commit", counting)
    return names


def damage(settings: Settings, contract: StreamContract, layer: str, statement: str) -> None:
    """Run one statement on the table of a layer."""
    path = getattr(LakePaths.of(settings), layer)(contract.name)
    spark = connect(settings.spark_remote)
    try:
        spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')").collect()
        spark.sql(statement.format(table=f"delta.`{path}`")).collect()
    finally:
        spark.stop()


def test_damage_to_every_layer_is_named(module_settings: Settings, sound: StreamContract) -> None:
    """One row lost, one doubled, one changed, one rejected row forgotten, one total altered: five findings at least."""
    one = "partition = 1 AND offset = {}"
    damage(module_settings, sound, "bronze", "DELETE FROM {table} WHERE " + one.format(2))
    damage(module_settings, sound, "bronze", "INSERT INTO {table} SELECT * FROM {table} WHERE " + one.format(4))
    damage(module_settings, sound, "silver", "UPDATE {table} SET quantity = 99 WHERE _partition = 1 AND _offset = 6")
    swap = "UPDATE {table} SET _rescued = store_location, store_location = NULL WHERE _partition = 1 AND _offset = 8"
    damage(module_settings, sound, "silver", swap)
    damage(module_settings, sound, "quarantine", "UPDATE {table} SET value = encode('[', 'utf-8')")
    [altered] = [f.problem for f in verify(module_settings, [sound]).findings if f.check == "quarantine"]
    assert "3 rejected rows, the rebuild from bronze has 3 · not in the rebuild: " in altered
    damage(module_settings, sound, "quarantine", "DELETE FROM {table}")
    path = builds.gold_path(module_settings)
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        connection.execute("update sales_daily set gross_amount = gross_amount + 1 where category = 'Books'")

    report = verify(module_settings, [sound])
    assert not report.ok
    found = {check: [f.problem for f in report.findings if f.check == check] for check in CHECKS}
    assert any("partition 1, offset 2 is on the broker but not in bronze" in text for text in found["bronze"])
    assert any("partition 1, offset 4 is there 2 times" in text for text in found["bronze"])
    assert any("not in the rebuild: damaged_" in text and "1:6" in text for text in found["silver"])
    assert any("1:8" in text for text in found["silver"]), "a value that moved to a neighbour that was null"
    assert any("0 rejected rows, the rebuild from bronze has 3" in text for text in found["quarantine"])
    assert any("sales_daily" in text and "category Books" in text for text in found["gold"])
    assert not any("category Toys" in text for text in found["gold"])
