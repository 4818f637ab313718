"""Damage done on purpose to each layer is found, and named."""

import os

import duckdb
import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.paths import LakePaths
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
    report = verify(module_settings, [contract])
    assert report.findings == []
    assert report.proofs[0].gold_version == report.proofs[0].silver_version
    return contract


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
    assert any("0 rejected rows, the rebuild from bronze has 3" in text for text in found["quarantine"])
    assert any("sales_daily" in text and "category Books" in text for text in found["gold"])
    assert not any("category Toys" in text for text in found["gold"])
