"""Who writes a step of silver: the worker where the rows are few, else Spark; one file per partition either way."""

from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from lakehouse.engine.spark import MANY_ROWS_AGAIN
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import data_files
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.mark.parametrize(
    ("events", "writer"), [(MANY_ROWS_AGAIN - 1, "parquet-cpp-arrow"), (MANY_ROWS_AGAIN, "parquet-mr")]
)
def test_from_so_many_rows_on_spark_writes(
    settings: Settings, topic_name: Callable[[str], str], events: int, writer: str
) -> None:
    contract = sales_on(settings, topic_name("steps"))
    assert send(settings, contract.topic.name, [encode(sale(number)) for number in range(events)]) == events
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    files = data_files(LakePaths.of(settings).silver(contract.name))
    assert {pq.read_metadata(file).created_by.split()[0] for file in files} == {writer}
    assert len({file.parent for file in files}) == len(files)
    assert verify(settings, [contract]).findings == []
