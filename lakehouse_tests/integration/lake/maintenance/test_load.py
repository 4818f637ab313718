"""Advice about sizes, from what a stream really did."""

import dataclasses
from collections.abc import Callable

import pytest

from lakehouse.lake.drain import drain
from lakehouse.lake.maintenance.load import advice, measure
from lakehouse.lake.maintenance.table_files import TableStats
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def test_a_streams_load_is_measured_and_judged(settings: Settings, topic_name: Callable[[str], str]) -> None:
    contract = sales_on(settings, topic_name("load"))
    assert measure(contract, settings) is None
    send(settings, contract.topic.name, (encode(sale(n)) for n in range(120)))
    small = load_settings(LAKEHOUSE_MAX_BATCH_ROWS=50)
    drain(contract, small, budget_seconds=60, idle_seconds=0)

    load = measure(contract, small)
    assert load is not None
    assert (load.partitions, load.rows, load.full_batches) == (3, 120, 2)
    assert 1 <= load.busiest_per_second <= 2
    assert load.tables["bronze"].rows == load.tables["silver"].rows == 120
    topic, full = advice(load, small)
    assert topic.startswith("topic: 3 partitions")
    assert "2 of 3 batches were full; raise LAKEHOUSE_MAX_BATCH_ROWS (50)" in full

    well = dataclasses.replace(load, partitions=6, full_batches=0)
    assert advice(well, settings) == []
    crumbs = TableStats(files=400, bytes=4_000_000, rows=120, deleted_rows=0, most_per_partition=90)
    (said,) = advice(dataclasses.replace(well, tables={"silver": crumbs}), settings)
    assert said.endswith("`lakehouse maintain sales`")
