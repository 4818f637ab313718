"""A field that silver gets reaches the wide mart by itself; a personal one does not; a dropped one leaves no hole."""

import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.contracts.evolution import schema_of
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.parts import FieldSpec
from lakehouse.lake.gold import builds
from lakehouse.lake.schema.accepted import PROPERTY, Accepted
from lakehouse.settings import load_settings
from lakehouse_tests.integration.dbt import silver


@pytest.mark.slow
def test_new_fields_of_the_contract_show_up_in_the_wide_mart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    settings = load_settings()
    rng = random.Random(3)
    rows = silver.keyed([silver.sale(rng, event_date=silver.DAYS[0]) for _ in range(20)])
    silver.write_sales(tmp_path / "lake", rows)
    builds.build(settings)

    # Silver gets two fields and a row that has them, and loses one; the contract says which of them is personal.
    sales = load_stream("sales")
    fields = [field for field in sales.fields if field.name != "store_location"]
    fields.append(FieldSpec(name="loyalty", type="integer", nullable=True, description="Points."))
    fields.append(FieldSpec(name="nick", type="string", nullable=True, pii=True, description="Name."))
    path = str(tmp_path / "lake" / "silver" / "sales")
    new = silver.sale(rng, event_date=silver.DAYS[1], loyalty=7, nick="Jo", store_location=None)
    shape = silver.SALES.append(pa.field("loyalty", pa.int32())).append(pa.field("nick", pa.string()))
    write_deltalake(path, pa.Table.from_pylist([new], schema=shape), mode="append", schema_mode="merge")
    accepted = Accepted(version=2, shape=schema_of(sales.model_copy(update={"fields": fields})))
    properties = {PROPERTY: accepted.model_dump_json()}
    DeltaTable(path).alter.set_table_properties(properties, raise_if_not_exists=False)

    assert builds.build(settings).mode == "incremental"
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as connection:
        columns = {row[0] for row in connection.execute("describe obt_sales").fetchall()}
        values = connection.execute("select loyalty, count(*) from obt_sales group by all order by all").fetchall()
        lines = connection.execute("select count(*), count(store_location) from obt_sales").fetchall()
    assert "nick" not in columns
    assert values == [(7, 1), (None, 20)]
    assert lines == [(21, 20)]
