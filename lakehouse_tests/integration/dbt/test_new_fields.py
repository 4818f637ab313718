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

SHAPE = silver.SALES.append(pa.field("loyalty", pa.int32())).append(pa.field("nick", pa.string()))


def append(path: str, row: silver.Row, fields: list[FieldSpec], **more: object) -> None:
    """One row of silver, and the contract that it is said to be brought up to."""
    write_deltalake(path, pa.Table.from_pylist([row], schema=SHAPE), mode="append", schema_mode="merge")
    contract = load_stream("sales").model_copy(update={"fields": fields})
    accepted = Accepted(version=2, shape=schema_of(contract), **more)  # type: ignore[arg-type]
    properties = {PROPERTY: accepted.model_dump_json()}
    DeltaTable(path).alter.set_table_properties(properties, raise_if_not_exists=False)


@pytest.mark.slow
def test_new_fields_of_the_contract_show_up_in_the_wide_mart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    settings = load_settings()
    rng = random.Random(3)
    rows = silver.keyed([silver.sale(rng, event_date=silver.DAYS[0]) for _ in range(20)])
    silver.write_sales(tmp_path / "lake", rows)
    builds.build(settings)
    path = str(tmp_path / "lake" / "silver" / "sales")

    # Silver gets two fields and a row that has them; the contract says which of them is personal.
    fields = [*load_stream("sales").fields]
    fields.append(FieldSpec(name="loyalty", type="integer", nullable=True, description="Points."))
    fields.append(FieldSpec(name="nick", type="string", nullable=True, pii=True, description="Name."))
    append(path, silver.sale(rng, event_date=silver.DAYS[1], loyalty=7, nick="Jo"), fields)
    added = builds.build(settings)
    assert (added.mode, added.failures) == ("incremental", [])

    # Then it loses one. Newer rows have no value, where the mart's contract demands one.
    left = [field for field in fields if field.name != "store_location"]
    gone = {"store_location": ("store_location",)}
    append(path, silver.sale(rng, event_date=silver.DAYS[2], loyalty=8, store_location=None), left, retired=gone)
    dropped = builds.build(settings)
    assert (dropped.mode, dropped.failures) == ("full", [])

    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as connection:
        columns = {row[0] for row in connection.execute("describe obt_sales").fetchall()}
        values = connection.execute("select loyalty, count(*) from obt_sales group by all order by all").fetchall()
        lines = connection.execute("select count(*), count(store_location) from obt_sales").fetchall()
        stores = connection.execute(
            "select count(*), count(store_location), count(is_online) from dim_store"
        ).fetchall()
        customers = connection.execute("select count(*) = count(last_store_location) from dim_customer").fetchall()
    assert "nick" not in columns
    assert values == [(7, 1), (8, 1), (None, 20)]
    assert lines == [(22, 21)]
    assert stores == [(4, 4, 4)], "what was known last stays known"
    assert customers == [(False,)], "the new customer never had one"


@pytest.mark.slow
def test_a_field_that_may_be_empty_now_is_empty_in_the_marts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    settings = load_settings()
    rng = random.Random(5)
    path = str(tmp_path / "lake" / "silver" / "sales")
    fields = [*load_stream("sales").fields]
    silver.write_sales(tmp_path / "lake", silver.keyed([silver.sale(rng, event_date=silver.DAYS[0])]))
    append(path, silver.sale(rng, event_date=silver.DAYS[0]), fields)
    assert builds.build(settings).failures == []

    # A null that the contract does not allow is refused, and what was published stays.
    nothing = {"payment_method": None, "store_location": None, "store_id": None, "product_id": None, "category": None}
    append(path, silver.sale(rng, event_date=silver.DAYS[1], **nothing), fields)
    assert builds.build(settings).failures

    relaxed = [field.model_copy(update={"nullable": field.name in nothing}) for field in fields]
    append(path, silver.sale(rng, event_date=silver.DAYS[2]), relaxed)
    report = builds.build(settings)
    assert (report.mode, report.failures) == ("full", [])
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as connection:
        counted = connection.execute(
            "select count(*), count(payment_method), count(store_location) from obt_sales"
        ).fetchall()
        sold = connection.execute(
            "select count(*) from fct_sales"
            " join dim_store using (store_key) join dim_product_current using (product_key)"
        ).fetchall()
    assert counted == [(4, 3, 3)]
    assert sold == [(4,)], "a sale without a store or product is of the one that is not known"
    # The relaxed tables stay; only what changed is computed from now on.
    append(path, silver.sale(rng, event_date=silver.DAYS[3], payment_method=None), relaxed)
    assert builds.build(settings).mode == "incremental"
